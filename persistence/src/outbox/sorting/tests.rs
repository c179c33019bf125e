//! Does every post arrive once and in order, whatever is lost, repeated, refused or late on the way?

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::Event;
use crate::id::{PersistenceId, Sequence};
use crate::marks::{Marks, Origin, Verdict};
use crate::post::Post;

/// What is posted in the model.
#[derive(Event)]
#[event(name = "word", crate = crate)]
struct Word(u64);

const LIMITS: Limits = Limits {
    queue: 4,
    window: 2,
    held: 9,
    bytes: 1 << 20,
    sent: 6,
    blocked: 100,
    retry: (Duration::from_millis(100), Duration::from_secs(1)),
    patience: 2,
    deadline: Duration::from_secs(5),
};
const SLICES: u32 = 2;
const RECEIVERS: [&str; 3] = ["g/a", "g/b", "g/c"];

fn item(receiver: &str, slice: u32, ordinal: u64) -> Item {
    let (gateway, id) = receiver.split_once('/').unwrap();
    Item {
        from: PersistenceId::new(format!("sender-{slice}")).unwrap(),
        sequence: Sequence::new(ordinal),
        position: Position { slice: Slice::new(slice), ordinal: Ordinal::new(ordinal) },
        post: Post::new((gateway, id), &Word(ordinal)).unwrap(),
    }
}

/// A journal with posts and other events, a postman that may begin anew, and receivers with marks.
struct Model {
    /// By slice, the receiver of each post; `None`: the event is no post.
    journal: Vec<Vec<Option<usize>>>,
    sorting: Sorting,
    read: Vec<usize>,
    stored: Offset,
    now: Instant,
    /// On their way: whom to, from where, and whether it is of this incarnation.
    bag: Vec<(usize, Origin, u64, u64)>,
    incarnation: u64,
    marks: Vec<Marks>,
    /// What was handled by each receiver, in order.
    handled: Vec<Vec<Position>>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Post(u32, usize),
    Other(u32),
    Read(u32),
    Send,
    /// The delivery at this place of the bag arrives, and is answered so.
    Arrive(usize, Fate),
    Wait(u64),
    Fetch(usize),
    Store,
    Restart,
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Well,
    /// It is refused.
    Refused,
    /// It never arrives, and is not answered.
    Lost,
    /// It is handled, and the answer is lost.
    Mute,
    /// It arrives, and will arrive again.
    Twice,
}

impl Model {
    fn new(now: Instant) -> Self {
        let start = Offset::start(1);
        Self {
            journal: vec![Vec::new(); SLICES as usize],
            sorting: Sorting::new(LIMITS, &start),
            read: vec![0; SLICES as usize],
            stored: start,
            now,
            bag: Vec::new(),
            incarnation: 0,
            marks: vec![Marks::default(); RECEIVERS.len()],
            handled: vec![Vec::new(); RECEIVERS.len()],
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Post(slice, receiver) => self.journal[slice as usize].push(Some(receiver)),
            Step::Other(slice) => self.journal[slice as usize].push(None),
            Step::Read(slice) => self.read(slice),
            Step::Send => self.send(),
            Step::Arrive(at, fate) if !self.bag.is_empty() => self.arrive(at % self.bag.len(), fate),
            Step::Arrive(..) => {}
            Step::Wait(millis) => {
                self.now += Duration::from_millis(millis);
                self.sorting.wake(self.now);
                self.sorting.expire(self.now, 0.5);
            }
            Step::Fetch(most) => self.fetch(most),
            Step::Store => self.stored = self.sorting.offset(1),
            Step::Restart => {
                self.sorting = Sorting::new(LIMITS, &self.stored);
                let read = |slice| usize::try_from(self.stored.of(Slice::new(slice)).get()).unwrap();
                self.read = (0..SLICES).map(read).collect();
                self.incarnation += 1;
            }
        }
        assert!(self.sorting.held <= LIMITS.held + RECEIVERS.len() * LIMITS.queue);
    }

    fn read(&mut self, slice: u32) {
        if self.sorting.is_full() {
            return;
        }
        let at = &mut self.read[slice as usize];
        let Some(event) = self.journal[slice as usize].get(*at) else { return };
        *at += 1;
        match event {
            Some(receiver) => self.sorting.take(item(RECEIVERS[*receiver], slice, *at as u64)),
            None => self.sorting.read(Slice::new(slice), Ordinal::new(*at as u64)),
        }
    }

    fn send(&mut self) {
        while let Some(Sending { receiver, item, after, attempt }) = self.sorting.next(self.now) {
            let receiver = RECEIVERS.iter().position(|name| **name == *receiver).unwrap();
            let origin = Origin { source: 1, position: item.position, after };
            self.bag.push((receiver, origin, attempt, self.incarnation));
        }
    }

    fn arrive(&mut self, at: usize, fate: Fate) {
        let (receiver, origin, attempt, incarnation) = match fate {
            Fate::Twice => self.bag[at],
            _ => self.bag.swap_remove(at),
        };
        let said = match (fate, self.marks[receiver].judge(origin)) {
            (Fate::Lost, _) => return,
            (Fate::Refused, _) | (_, Verdict::Early) => Said::Failed("no".to_owned()),
            (_, Verdict::Known) => Said::Done,
            (_, Verdict::New) => {
                self.marks[receiver].received(origin);
                self.handled[receiver].push(origin.position);
                Said::Done
            }
        };
        if incarnation == self.incarnation && !matches!(fate, Fate::Mute) {
            let name = Arc::from(RECEIVERS[receiver]);
            self.sorting.answered(&name, origin.position, attempt, said, (self.now, 0.5));
        }
    }

    fn fetch(&mut self, most: usize) {
        let Some((receiver, ranges)) = self.sorting.hungry() else { return };
        let index = RECEIVERS.iter().position(|name| **name == *receiver).unwrap();
        let mut items = Vec::new();
        for (slice, (first, last)) in &ranges {
            for ordinal in first.get()..=last.get() {
                let event = self.journal[slice.get() as usize][usize::try_from(ordinal).unwrap() - 1];
                if event == Some(index) {
                    items.push(item(RECEIVERS[index], slice.get(), ordinal));
                }
            }
        }
        let is_whole = items.len() <= most;
        items.truncate(most);
        self.sorting.fetched(&receiver, &ranges, items, is_whole);
    }

    /// All that was posted to a receiver, by slice.
    fn posted(&self, receiver: usize, slice: u32) -> Vec<u64> {
        let events = (1..).zip(&self.journal[slice as usize]);
        events.filter(|(_, event)| **event == Some(receiver)).map(|(ordinal, _)| ordinal).collect()
    }

    fn handled(&self, receiver: usize, slice: u32) -> Vec<u64> {
        let of = self.handled[receiver].iter().filter(|position| position.slice.get() == slice);
        of.map(|position| position.ordinal.get()).collect()
    }

    fn check(&self) {
        for slice in 0..SLICES {
            let done = self.sorting.offset_of(Slice::new(slice));
            for receiver in 0..RECEIVERS.len() {
                let (posted, handled) = (self.posted(receiver, slice), self.handled(receiver, slice));
                assert!(
                    posted.starts_with(&handled),
                    "{receiver} of slice {slice}: {handled:?} of {posted:?}"
                );
                let due = posted.iter().filter(|ordinal| **ordinal <= done.get()).count();
                assert!(handled.len() >= due, "the offset {done} is behind what {receiver} has not got");
            }
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fate = prop_oneof![
        6 => Just(Fate::Well),
        1 => Just(Fate::Refused),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Mute),
        1 => Just(Fate::Twice),
    ];
    let step = prop_oneof![
        6 => (0..SLICES, 0..RECEIVERS.len()).prop_map(|(slice, receiver)| Step::Post(slice, receiver)),
        1 => (0..SLICES).prop_map(Step::Other),
        6 => (0..SLICES).prop_map(Step::Read),
        5 => Just(Step::Send),
        8 => (any::<usize>(), fate).prop_map(|(at, fate)| Step::Arrive(at, fate)),
        2 => prop_oneof![Just(10_u64), Just(300), Just(6_000)].prop_map(Step::Wait),
        3 => (1..5_usize).prop_map(Step::Fetch),
        1 => Just(Step::Store),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn each_post_is_handled_once_and_in_order_and_the_offset_is_behind_none_that_is_not(steps in steps()) {
        let mut model = Model::new(start());
        for step in steps {
            model.step(step);
            model.check();
        }
        // In the end nothing goes wrong any more.
        for _ in 0..400 {
            for slice in 0..SLICES {
                model.step(Step::Read(slice));
            }
            model.step(Step::Send);
            while !model.bag.is_empty() {
                model.step(Step::Arrive(0, Fate::Well));
            }
            model.step(Step::Fetch(3));
            model.step(Step::Wait(1_000));
        }
        model.check();
        for slice in 0..SLICES {
            for receiver in 0..RECEIVERS.len() {
                prop_assert_eq!(model.handled(receiver, slice), model.posted(receiver, slice));
            }
            let end = model.journal[slice as usize].len() as u64;
            prop_assert_eq!(model.sorting.offset_of(Slice::new(slice)).get(), end);
        }
        prop_assert!(model.sorting.targets.is_empty() && model.sorting.due.is_empty());
        prop_assert_eq!((model.sorting.held, model.sorting.bytes, model.sorting.sent), (0, 0, 0));
    }
}

fn start() -> Instant {
    omnitron_runtime::testkit::t0()
}
