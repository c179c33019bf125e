//! The events of these tests: a few like those of a program, and one of every form that an event may have.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::{NonZeroI64, NonZeroU8, NonZeroU32};
use std::time::Duration;

use omnitron::{Event, Schema, Timestamp};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

#[derive(Clone, Debug, Event, PartialEq)]
#[event(name = "account")]
pub(crate) enum Account {
    Opened {
        owner: CustomerId,
        currency: Currency,
    },
    #[event(version = 2)]
    Withdrawn {
        money: Money,
        at: Timestamp,
    },
    LimitChanged(Option<u64>),
    Closed,
}

pub(crate) fn accounts() -> [Account; 4] {
    [
        Account::Opened { owner: CustomerId(42), currency: Currency::Dollar },
        Account::Withdrawn {
            money: Money { cents: 12_345, currency: Currency::Euro },
            at: Timestamp::from_nanos(1_700_000_000_123_456_789),
        },
        Account::LimitChanged(Some(1_000)),
        Account::Closed,
    ]
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Schema)]
pub(crate) struct CustomerId(pub(crate) u64);

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Schema)]
pub(crate) enum Currency {
    Euro,
    Dollar,
}

#[derive(Clone, Debug, PartialEq, Schema)]
pub(crate) struct Money {
    pub(crate) cents: u64,
    pub(crate) currency: Currency,
}

/// Names which do not follow from the types.
#[derive(Debug, Event, PartialEq)]
#[event(name = "orders")]
pub(crate) enum Renamed {
    #[event(name = "sales.order-placed")]
    Placed(u64),
    #[event(version = 7)]
    Paid,
}

#[derive(Debug, Event, PartialEq)]
pub(crate) struct Order {
    pub(crate) id: u64,
}

/// Every type that can be a part, in every form that a variant or a part has.
#[derive(Clone, Debug, Event, PartialEq)]
#[expect(clippy::option_option, reason = "it may be written, so it has to be read")]
pub(crate) enum Everything {
    Nothing,
    NothingNamed {},
    Numbers(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128),
    Others {
        small: NonZeroU8,
        middle: NonZeroU32,
        large: NonZeroI64,
        float: f32,
        double: f64,
        truth: bool,
        letter: char,
        span: Duration,
        at: Timestamp,
    },
    Text(String),
    Texts(Box<str>, Option<String>, Vec<String>),
    Addresses(IpAddr, Ipv4Addr, Ipv6Addr),
    Lists {
        bytes: Vec<u8>,
        wide: VecDeque<u128>,
        boxed: Box<[Money]>,
        array: [u16; 5],
    },
    Maps(BTreeMap<CustomerId, Shape>, BTreeMap<String, Vec<u32>>, BTreeSet<Currency>),
    Nested((u8, (u64, bool)), Option<Option<Box<Money>>>, Unit, Empty),
    Tree(Tree),
}

#[derive(Clone, Debug, PartialEq, Schema)]
pub(crate) enum Shape {
    Point,
    Circle(f64),
    Box { width: u8, height: u64, label: String },
    r#Match(Unit, Box<Shape>),
}

#[derive(Clone, Debug, PartialEq, Schema)]
pub(crate) struct Unit;

#[derive(Clone, Debug, PartialEq, Schema)]
pub(crate) struct Empty {}

#[derive(Clone, Debug, Default, PartialEq, Schema)]
pub(crate) struct Tree {
    pub(crate) value: u8,
    pub(crate) inside: Vec<Tree>,
}

/// More fields than tuples have: more than twelve times twelve. Of sizes that show in the bytes where one tuple ends.
macro_rules! wide {
    ($($a:ident $b:ident $c:ident $d:ident $e:ident)*) => {
        #[derive(Debug, Event, PartialEq)]
        pub(crate) struct Wide { $($a: u8, $b: u8, $c: u8, $d: u8, $e: u32),* }

        impl Wide {
            pub(crate) fn of(mut value: impl FnMut() -> u8) -> Self {
                Self { $($a: value(), $b: value(), $c: value(), $d: value(), $e: value().into()),* }
            }
        }
    };
}

wide! {
    a b c d e f g h i j k l m n o p q r s t u v w x y
    z a2 b2 c2 d2 e2 f2 g2 h2 i2 j2 k2 l2 m2 n2 o2 p2 q2 r2 s2 t2 u2 v2 w2 x2
    y2 z2 a3 b3 c3 d3 e3 f3 g3 h3 i3 j3 k3 l3 m3 n3 o3 p3 q3 r3 s3 t3 u3 v3 w3
    x3 y3 z3 a4 b4 c4 d4 e4 f4 g4 h4 i4 j4 k4 l4 m4 n4 o4 p4 q4 r4 s4 t4 u4 v4
    w4 x4 y4 z4 a5 b5 c5 d5 e5 f5 g5 h5 i5 j5 k5 l5 m5 n5 o5 p5 q5 r5 s5 t5 u5
    v5 w5 x5 y5 z5 a6 b6 c6 d6 e6 f6 g6 h6 i6 j6 k6 l6 m6 n6 o6 p6 q6 r6 s6 t6
}

fn currency() -> impl Strategy<Value = Currency> {
    prop_oneof![Just(Currency::Euro), Just(Currency::Dollar)]
}

fn money() -> impl Strategy<Value = Money> {
    (any::<u64>(), currency()).prop_map(|(cents, currency)| Money { cents, currency })
}

fn shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        Just(Shape::Point),
        (-1e9..1e9).prop_map(Shape::Circle),
        (any::<u8>(), any::<u64>(), any::<String>()).prop_map(|(width, height, label)| Shape::Box {
            width,
            height,
            label
        }),
    ];
    leaf.prop_recursive(4, 8, 1, |inner| inner.prop_map(|it| Shape::r#Match(Unit, Box::new(it))))
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = any::<u8>().prop_map(|value| Tree { value, inside: vec![] });
    leaf.prop_recursive(5, 32, 4, |inner| {
        (any::<u8>(), vec(inner, 0..4)).prop_map(|(value, inside)| Tree { value, inside })
    })
}

fn others() -> impl Strategy<Value = Everything> {
    let numbers = (any::<NonZeroU8>(), any::<NonZeroU32>(), any::<NonZeroI64>(), -1e9_f32..1e9, -1e9..1e9);
    let rest = (any::<bool>(), any::<char>(), any::<Duration>(), any::<i64>());
    (numbers, rest).prop_map(|((small, middle, large, float, double), (truth, letter, span, at))| {
        let at = Timestamp::from_nanos(at);
        Everything::Others { small, middle, large, float, double, truth, letter, span, at }
    })
}

/// Events of every form.
pub(crate) fn everything() -> impl Strategy<Value = Everything> {
    let numbers = any::<(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128)>();
    let maps = (
        btree_map(any::<u64>().prop_map(CustomerId), shape(), 0..20),
        btree_map(any::<String>(), vec(any::<u32>(), 0..4), 0..60),
        btree_set(currency(), 0..3),
    );
    let lists = (vec(any::<u8>(), 0..100), vec(any::<u128>(), 0..5), vec(money(), 0..5), any::<[u16; 5]>());
    let nested = (any::<(u8, (u64, bool))>(), proptest::option::of(proptest::option::of(money())));
    prop_oneof![
        Just(Everything::Nothing),
        Just(Everything::NothingNamed {}),
        numbers.prop_map(|(a, b, c, d, e, f, g, h, i, j)| Everything::Numbers(a, b, c, d, e, f, g, h, i, j)),
        others(),
        any::<String>().prop_map(Everything::Text),
        any::<(String, Option<String>, Vec<String>)>().prop_map(|(a, b, c)| Everything::Texts(
            a.into(),
            b,
            c.into_iter().take(5).collect()
        )),
        any::<(IpAddr, Ipv4Addr, Ipv6Addr)>().prop_map(|(a, b, c)| Everything::Addresses(a, b, c)),
        lists.prop_map(|(bytes, wide, boxed, array)| Everything::Lists {
            bytes,
            wide: wide.into(),
            boxed: boxed.into(),
            array
        }),
        maps.prop_map(|(a, b, c)| Everything::Maps(a, b, c)),
        nested.prop_map(|(a, b)| Everything::Nested(a, b.map(|it| it.map(Box::new)), Unit, Empty {})),
        tree().prop_map(Everything::Tree),
    ]
}
