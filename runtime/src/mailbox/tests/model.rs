//! Does the mailbox do what a plain description of it does, whatever the order of the steps?
//!
//! The description keeps one list of everything, without locks, wakers, rings or portions. The capacities are small
//! enough that room is handed out after every handled message, so the two agree exactly.

mod plain;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use self::plain::{Fate, Kind, Model, rank};
use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Tell,
    Send,
    /// Polls the sender that has waited longest but so many.
    PollSend(usize),
    DropSend(usize),
    Reserve,
    Fulfil,
    Release,
    Control,
    /// The actor handles what it has in hand, and looks for more if that was all.
    Work,
    Await,
    Close,
}

fn kinds() -> impl Strategy<Value = Kind> {
    let overflow =
        prop_oneof![Just(Overflow::Reject), Just(Overflow::DropOldest), Just(Overflow::DropNewest)];
    prop_oneof![
        1 => Just(Kind::Unbounded),
        1 => Just(Kind::Priority),
        8 => (1_usize..6, overflow).prop_map(|(capacity, overflow)| Kind::Bounded(capacity, overflow)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        60 => Just(Step::Tell),
        60 => Just(Step::Send),
        30 => (0_usize..4).prop_map(Step::PollSend),
        15 => (0_usize..4).prop_map(Step::DropSend),
        15 => Just(Step::Reserve),
        10 => Just(Step::Fulfil),
        10 => Just(Step::Release),
        10 => Just(Step::Control),
        80 => Just(Step::Work),
        20 => Just(Step::Await),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 0..120)
}

/// The real one beside the model.
struct Pair {
    inbox: Box8,
    batch: Ring<u32>,
    model: Model,
    senders: BTreeMap<u64, Arc<Flag>>,
    actor: (Arc<Flag>, Waker),
    next_message: u32,
    /// Messages that left the mailbox, one way or another.
    gone: BTreeSet<u32>,
}

impl Pair {
    fn new(kind: Kind) -> Self {
        let mailbox = match kind {
            Kind::Unbounded => Mailbox::unbounded(),
            Kind::Bounded(capacity, overflow) => Mailbox::bounded(capacity).on_full(overflow),
            Kind::Priority => Mailbox::priority(|&message| rank(message)),
        };
        Self {
            inbox: inbox(mailbox),
            batch: Ring::default(),
            model: Model::new(kind),
            senders: BTreeMap::new(),
            actor: Flag::new(),
            next_message: 0,
            gone: BTreeSet::new(),
        }
    }

    fn message(&mut self) -> u32 {
        self.next_message += 1;
        self.next_message
    }

    fn left(&mut self, message: u32) {
        assert!(self.gone.insert(message), "message {message} left twice");
    }

    fn fate(&mut self, pushed: &Pushed<u32>) -> Fate {
        let (fate, message) = match *pushed {
            Pushed::Queued => return Fate::Queued,
            Pushed::Displaced(message) => (Fate::Displaced(message), message),
            Pushed::Dropped(message) => (Fate::Dropped, message),
            Pushed::Refused(message, Refusal::Full { .. }) => (Fate::Full, message),
            Pushed::Refused(message, reason) => {
                assert_eq!(reason, Refusal::Stopped);
                (Fate::Stopped, message)
            }
        };
        self.left(message);
        fate
    }

    /// After something that concerns a sleeping actor: it is woken, exactly if it sleeps.
    fn wakes(&mut self, concerns: bool) {
        let expected = std::mem::take(&mut self.model.asleep) && concerns;
        assert_eq!(self.actor.0.taken(), expected, "a sleeping actor is woken, an awake one is not");
        self.model.asleep = false;
    }

    fn admitted(&mut self, numbers: &[u64]) {
        for (number, flag) in &self.senders {
            assert_eq!(flag.taken(), numbers.contains(number), "sender {number}");
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Tell => {
                let message = self.message();
                let pushed = self.inbox.pushed(rank(message), message);
                let expected = self.model.tell(message);
                assert_eq!(self.fate(&pushed), expected);
                if matches!(expected, Fate::Queued) {
                    self.wakes(true);
                }
            }
            Step::Send => {
                let message = self.message();
                let (flag, waker) = Flag::new();
                let offered = self.inbox.offered(rank(message), message, &Context::from_waker(&waker));
                match (offered, self.model.tell(message)) {
                    (Offered::Waits(number), Fate::Full) => {
                        self.model.waiting.push_back((number, message));
                        assert!(self.senders.insert(number, flag).is_none(), "two senders under one number");
                    }
                    (Offered::Settled(pushed), expected) => {
                        assert_eq!(self.fate(&pushed), expected);
                        if matches!(expected, Fate::Queued) {
                            self.wakes(true);
                        }
                    }
                    (waits, expected) => panic!("{waits:?}, not {expected:?}"),
                }
            }
            Step::PollSend(nth) => {
                let Some((&number, flag)) = self.senders.iter().nth(nth) else { return };
                let waker = Waker::from(flag.clone());
                let polled = self.inbox.poll_admitted(number, &Context::from_waker(&waker));
                let place = self.model.waiting.iter().position(|&(waiting, _)| waiting == number);
                match (polled, place) {
                    (Poll::Ready(Ok(())), None) => drop(self.senders.remove(&number)),
                    (Poll::Ready(Err((message, Refusal::Stopped))), Some(place)) if self.model.closed => {
                        assert_eq!(self.model.waiting.remove(place), Some((number, message)));
                        self.senders.remove(&number);
                        self.left(message);
                    }
                    (Poll::Pending, Some(_)) => assert!(!self.model.closed),
                    (polled, place) => panic!("sender {number} at {place:?}: {polled:?}"),
                }
            }
            Step::DropSend(nth) => {
                let Some((&number, _)) = self.senders.iter().nth(nth) else { return };
                self.senders.remove(&number);
                let withdrawn = self.inbox.withdraw(number);
                let place = self.model.waiting.iter().position(|&(waiting, _)| waiting == number);
                let expected =
                    place.and_then(|place| self.model.waiting.remove(place)).map(|(_, message)| message);
                assert_eq!(withdrawn, expected);
                if let Some(message) = withdrawn {
                    self.left(message);
                }
            }
            Step::Reserve => self.reserve(),
            Step::Fulfil if self.model.reserved > 0 => {
                let message = self.message();
                self.model.reserved -= 1;
                self.model.insert(message, true);
                assert_eq!(self.inbox.fulfil(rank(message), message, true), Ok(()));
                self.wakes(true);
            }
            Step::Release if self.model.reserved > 0 => {
                self.model.reserved -= 1;
                self.inbox.release();
                self.wakes(true);
            }
            Step::Control => {
                self.model.controls += 1;
                assert!(self.inbox.control("control").is_ok());
                self.wakes(true);
            }
            Step::Work => self.work(),
            Step::Await if !self.model.hand.is_empty() => {
                assert_eq!(self.inbox.pause(self.model.hand.len(), &noop()), None);
                let numbers = self.model.admit();
                self.admitted(&numbers);
            }
            Step::Close => {
                self.inbox.close();
                // A second time it wakes them again, which does no harm.
                self.model.closed = true;
                let numbers: Vec<_> = self.model.waiting.iter().map(|&(number, _)| number).collect();
                self.admitted(&numbers);
            }
            Step::Fulfil | Step::Release | Step::Await => {}
        }
    }

    fn reserve(&mut self) {
        let expected = if self.model.closed {
            Err(Fate::Stopped)
        } else {
            match self.model.kind {
                Kind::Bounded(_, Overflow::Reject)
                    if self.model.room() == 0 || !self.model.waiting.is_empty() =>
                {
                    Err(Fate::Full)
                }
                Kind::Bounded(_, Overflow::DropNewest) if self.model.room() == 0 => Err(Fate::Dropped),
                Kind::Bounded(_, Overflow::DropOldest) if self.model.room() == 0 => {
                    self.model.displace().map(Some).ok_or(Fate::Dropped)
                }
                _ => Ok(None),
            }
        };
        let reserved = self.inbox.reserve().map_err(|reason| match reason {
            Refusal::Full { .. } => Fate::Full,
            Refusal::Overflowed { .. } => Fate::Dropped,
            _ => Fate::Stopped,
        });
        assert_eq!(reserved, expected);
        if let Ok(displaced) = reserved {
            if let Some(message) = displaced {
                self.left(message);
            }
            self.model.reserved += 1;
        }
    }

    /// Handles one message; takes more first if there is none in hand.
    fn work(&mut self) {
        let handled = self.model.hand.pop_front();
        if let Some(message) = handled {
            self.left(message);
            self.inbox.handled(self.batch.len(), 1, &mut 0);
            if matches!(self.model.kind, Kind::Unbounded) {
                // Tells its figures in portions as well, and has no capacity to make them small.
                self.inbox.tell_left(self.batch.len());
            }
            let numbers = self.model.admit();
            self.admitted(&numbers);
            if let Some(next) = self.batch.pop_front() {
                assert_eq!(self.model.hand.front(), Some(&next));
                return;
            }
        }
        let waker = self.actor.1.clone();
        let next = self.inbox.poll_next(&mut self.batch, &mut false, &Context::from_waker(&waker));
        if self.model.controls > 0 {
            assert!(matches!(next, Poll::Ready(Next::Controls)));
            for _ in 0..std::mem::take(&mut self.model.controls) {
                assert_eq!(self.inbox.next_control().ok(), Some("control"));
            }
            assert_eq!(self.inbox.next_control().ok(), None);
            self.model.asleep = false;
            return;
        }
        let numbers = self.model.admit();
        self.admitted(&numbers);
        self.model.take();
        self.model.asleep = false;
        match next {
            Poll::Ready(Next::Message(message)) => {
                let taken: Vec<u32> = self.batch.drain().collect();
                for message in &taken {
                    self.batch.push_back(*message);
                }
                assert!(std::iter::once(message).chain(taken).eq(self.model.hand.iter().copied()));
            }
            Poll::Ready(Next::Drained) => {
                assert!(self.model.hand.is_empty() && self.model.closed && self.model.reserved == 0);
            }
            Poll::Pending => {
                assert!(self.model.hand.is_empty() && !(self.model.closed && self.model.reserved == 0));
                self.model.asleep = true;
            }
            Poll::Ready(Next::Controls) => panic!("there is no control"),
        }
    }

    fn check(&self) {
        let figures = self.inbox.figures();
        let model = &self.model;
        assert_eq!(figures.depth, model.queue.len() + model.hand.len());
        assert_eq!(figures.deepest, model.deepest);
        assert_eq!(figures.accepted, model.accepted);
        assert_eq!(figures.idle, model.asleep && model.reserved == 0);
        if let Kind::Bounded(capacity, overflow) = model.kind {
            let in_hand = if overflow == Overflow::DropOldest { 0 } else { model.hand.len() };
            assert!(model.queue.len() + model.reserved + in_hand <= capacity);
        }
    }

    /// Ends the mailbox: every message is somewhere, and nowhere twice.
    fn end(mut self) {
        let (left, controls) = self.inbox.finish();
        assert_eq!(controls.len(), self.model.controls);
        let expected: Vec<_> = self.model.queue.iter().map(|&(message, _)| message).collect();
        assert_eq!(left, expected);
        for message in left {
            self.left(message);
        }
        for message in std::mem::take(&mut self.model.hand) {
            self.left(message);
        }
        for (number, message) in std::mem::take(&mut self.model.waiting) {
            let given_back = self.inbox.poll_admitted(number, &noop());
            assert!(matches!(given_back, Poll::Ready(Err((back, Refusal::Stopped))) if back == message));
            self.left(message);
        }
        assert_eq!(self.gone.len(), self.next_message as usize, "every message is accounted for");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_mailbox_agrees_with_a_plain_list_of_everything(kind in kinds(), steps in steps()) {
        let mut pair = Pair::new(kind);
        for step in steps {
            pair.step(step);
            pair.check();
        }
        pair.end();
    }

    #[test]
    fn the_capacity_holds_whatever_the_portions(
        capacity in 1_usize..400,
        overflow in prop_oneof![Just(Overflow::Reject), Just(Overflow::DropNewest)],
        bursts in prop::collection::vec((0_u32..500, 0_usize..500), 0..20),
    ) {
        let inbox = bounded(capacity, overflow);
        let mut batch = Ring::default();
        let (mut hand, mut since, mut queued) = (0, 0, 0);
        for (told, handled) in bursts {
            for message in 0..told {
                queued += usize::from(matches!(inbox.pushed(0, message), Pushed::Queued));
                prop_assert!(queued + hand <= capacity);
            }
            for _ in 0..handled {
                if hand == 0 {
                    if inbox.poll_next(&mut batch, &mut false, &noop()).is_pending() {
                        break;
                    }
                    hand = std::mem::take(&mut queued);
                } else {
                    batch.pop_front();
                }
                hand -= 1;
                inbox.handled(hand, 1, &mut since);
            }
            prop_assert!(inbox.figures().depth >= queued + hand, "depth is never told too low");
            prop_assert!(inbox.figures().depth <= capacity);
        }
    }
}
