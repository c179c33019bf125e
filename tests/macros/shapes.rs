//! Which forms may an actor have: parameters, attributes, names, visibilities, types?

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Debug;

use omnitron::prelude::*;

use crate::run;

/// One parameter travels, one does not, and one bound stands in the `where`.
struct Store<K, V, F> {
    values: BTreeMap<K, V>,
    make: F,
}

#[actor]
impl<K: Ord + Send + 'static, V, F: Fn() -> V + Send + 'static> Store<K, V, F>
where
    V: Clone + Debug + Send + 'static,
{
    #[tell]
    fn put(&mut self, key: K, value: V) {
        self.values.insert(key, value);
    }

    #[ask]
    fn get(&self, key: K) -> Option<V> {
        self.values.get(&key).cloned()
    }

    #[ask]
    fn take(&mut self, key: K) -> Result<V, K> {
        self.values.remove(&key).ok_or(key)
    }

    #[ask]
    fn make(&self) -> V {
        (self.make)()
    }

    #[ask]
    fn same(&self, other: ActorRef<StoreMsg<K, V>>, ctx: &mut Context<Self>) -> bool {
        other == *ctx.myself()
    }
}

#[test]
fn the_messages_have_the_parameters_that_they_need_and_no_others() {
    run(async |system| {
        let store =
            system.spawn("store", || Store { values: BTreeMap::new(), make: || "new".to_owned() }).unwrap();
        let _: &ActorRef<StoreMsg<u8, String>> = &store;
        store.put(1, "one".to_owned()).unwrap();
        assert_eq!(store.get(1).await.unwrap().as_deref(), Some("one"));
        assert_eq!(store.take(1).await.unwrap(), "one");
        assert!(matches!(store.take(1).await.unwrap_err(), AskError::Failed(1)));
        assert_eq!(store.make().await.unwrap(), "new");
        assert!(store.same(store.clone()).await.unwrap());
    });
}

/// A function that knows the parameters by name only.
async fn put_and_get<K, V>(store: &ActorRef<StoreMsg<K, V>>, key: K, value: V) -> Option<V>
where
    K: Ord + Clone + Send + 'static,
    V: Clone + Debug + Send + 'static,
{
    store.put(key.clone(), value).ok()?;
    store.get(key).await.ok()?
}

#[test]
fn a_generic_function_can_use_a_generic_actor() {
    run(async |system| {
        let store = system.spawn("store", || Store { values: BTreeMap::new(), make: || 0_u8 }).unwrap();
        assert_eq!(put_and_get(&store, 'k', 5).await, Some(5));
    });
}

struct Ring<const N: usize> {
    slots: [u32; N],
}

#[actor]
impl<const N: usize> Ring<N> {
    const FIRST: usize = 0;

    #[ask]
    fn replace(&mut self, slots: [u32; N]) -> [u32; N] {
        std::mem::replace(&mut self.slots, slots)
    }

    #[ask]
    fn first(&self) -> Option<u32> {
        self.slots.get(Self::FIRST).copied()
    }
}

/// A part of the messages named after their actor.
struct Iterating<I: Iterator>(I);

#[actor]
impl<I> Iterating<I>
where
    I: Iterator + Send + 'static,
    I::Item: Send,
{
    #[ask]
    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }
}

#[test]
fn constants_and_associated_types_are_parameters_too() {
    run(async |system| {
        let ring = system.spawn("ring", || Ring { slots: [1, 2] }).unwrap();
        assert_eq!(ring.replace([3, 4]).await.unwrap(), [1, 2]);
        assert_eq!(ring.first().await.unwrap(), Some(3));
        let numbers = system.spawn("numbers", || Iterating(7..9)).unwrap();
        assert_eq!(numbers.next().await.unwrap(), Some(7));
    });
}

/// Local names, keywords, and types that look borrowed and are not.
struct Odd;

#[actor]
impl Odd {
    #[ask]
    fn r#match(&self, r#type: u8, msg: u8, ctx: u8, this: Cow<'static, str>) -> (u8, String) {
        (r#type + msg + ctx, this.into_owned())
    }

    /// The error type of a result need not be written where an error is a failure, or the reply as a whole.
    #[tell]
    fn write(&self, n: u64) -> std::io::Result<()> {
        std::io::Write::write_all(&mut std::io::sink(), &n.to_le_bytes())
    }

    #[ask(fail)]
    fn read(&self, n: u64) -> std::io::Result<u64> {
        std::io::copy(&mut std::io::Read::take(std::io::repeat(0), n), &mut std::io::sink())
    }

    #[ask(plain)]
    fn read_or_say(&self, n: u64) -> std::io::Result<u64> {
        std::io::copy(&mut std::io::Read::take(std::io::repeat(0), n), &mut std::io::sink())
    }

    #[ask]
    fn call(
        &self,
        f: fn(&str) -> usize,
        g: Box<dyn for<'a> Fn(&'a str) -> &'a str + Send>,
        text: &'static str,
    ) -> usize {
        f(g(text))
    }

    #[ask]
    fn tree(&self, _context: &mut Context<Self>) -> BTreeMap<u8, Vec<(bool, [char; 2])>> {
        BTreeMap::new()
    }
}

#[test]
fn a_result_is_known_by_its_name_whatever_stands_before_it() {
    run(async |system| {
        let odd = system.spawn("odd", || Odd).unwrap();
        odd.write(1).unwrap();
        assert_eq!(odd.read(1).await.unwrap(), 1);
        assert_eq!(odd.read_or_say(2).await.unwrap().unwrap(), 2);
    });
}

#[test]
fn an_argument_may_be_called_as_the_generated_code_calls_its_own() {
    run(async |system| {
        let odd = system.spawn("odd", || Odd).unwrap();
        assert_eq!(odd.r#match(1, 2, 3, "text".into()).await.unwrap(), (6, "text".to_owned()));
        assert_eq!(odd.call(str::len, Box::new(str::trim), " four ").await.unwrap(), 4);
    });
}

/// With one message that is there and one that is not.
struct Gated;

#[actor]
impl Gated {
    #[cfg(not(test))]
    #[tell]
    fn absent(&mut self, what: DoesNotExist) {}

    #[cfg(test)]
    #[ask]
    fn present(&self) -> bool {
        true
    }

    #[cfg(not(test))]
    #[hook]
    async fn started(&mut self, does: NotExist) {}
}

/// There is one variant only, or this would not compile.
#[expect(dead_code, reason = "it is enough that it compiles")]
fn present(GatedMsg::Present { reply }: GatedMsg) -> ReplyTo<bool> {
    reply
}

#[cfg(not(test))]
#[actor]
impl DoesNotExist {
    #[tell]
    fn absent(&mut self) {}
}

#[actor]
#[cfg(not(test))]
impl DoesNotExist {
    #[tell]
    fn absent(&mut self) {}
}

#[test]
fn what_a_cfg_removes_is_in_no_generated_item() {
    run(async |system| {
        let gated = system.spawn("gated", || Gated).unwrap();
        assert!(gated.present().await.unwrap());
    });
}

mod inner {
    use omnitron::prelude::*;

    /// Seen from outside, with one message that is not.
    pub(super) struct Lamp {
        pub(super) on: bool,
    }

    #[actor]
    impl Lamp {
        #[tell]
        pub(super) fn switch(&mut self, on: bool) {
            self.on = on;
        }

        #[ask]
        fn is_on(&self) -> bool {
            self.on
        }
    }

    /// Everything has another name, and is found in another place.
    pub(super) struct Bell;

    #[actor(crate = omnitron, vis = pub(crate), msg = Strike, ext = Bells,)]
    impl Bell {
        #[ask]
        fn ring(&self) -> String {
            "ding".to_owned()
        }
    }
}

#[test]
fn messages_are_seen_as_far_as_the_most_visible_method() {
    use inner::{Lamp, LampMsg, LampRef as _};
    run(async |system| {
        let lamp: ActorRef<LampMsg> = system.spawn("lamp", || Lamp { on: false }).unwrap();
        lamp.switch(true).unwrap();
        assert!(lamp.is_on().await.unwrap());
    });
}

#[test]
fn names_visibility_and_crate_can_be_chosen() {
    use inner::{Bell, Bells, Strike};
    run(async |system| {
        let bell: ActorRef<Strike> = system.spawn("bell", || Bell).unwrap();
        assert_eq!(bell.ring().await.unwrap(), "ding");
    });
}
