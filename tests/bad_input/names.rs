//! Which names are refused, and does the error help?

use omnitron::prelude::*;

use crate::world::{Echo, SECOND, answers, in_full, world};

/// A name, and what its error says.
fn illegal() -> Vec<(String, &'static str)> {
    vec![
        (String::new(), "the name is empty; give it at least one character"),
        ("a/b".to_owned(), "the name contains '/' at byte 1; leave it out, or spawn from the parent actor"),
        ("/".to_owned(), "the name contains '/' at byte 0; leave it out, or spawn from the parent actor"),
        ("a\nb".to_owned(), r"the name contains the control character '\n' at byte 1; leave it out"),
        ("a\0".to_owned(), r"the name contains the control character '\0' at byte 1; leave it out"),
        (
            "\u{1b}[31m".to_owned(),
            r"the name contains the control character '\u{1b}' at byte 0; leave it out",
        ),
        ("x".repeat(10_000), "the name has 10000 bytes; shorten it to at most 255"),
        ("x/".repeat(5_000), "the name has 10000 bytes; shorten it to at most 255"),
        (
            "$a".to_owned(),
            "the name starts with '$', which is reserved for the system; start it with another character",
        ),
    ]
}

/// Tries to start a child of each name it is told.
struct Parent;

impl Actor for Parent {
    type Msg = (String, ReplyTo<Option<String>>);

    async fn receive(&mut self, (name, reply): Self::Msg, ctx: &mut Context<Self>) -> Result<(), Failure> {
        reply.send(ctx.spawn(&name, || Echo).err().map(|error| in_full(&error)));
        Ok(())
    }
}

#[test]
fn an_illegal_name_is_refused_with_a_short_error_that_says_what_to_do() {
    let (sim, system) = world();
    let parent = system.spawn("parent", || Parent).unwrap();
    for (name, reason) in illegal() {
        let error = system.spawn(&name, || Echo).unwrap_err();
        assert!(matches!(error, SpawnError::IllegalName { .. }), "{error:?}");
        assert_eq!(in_full(&error), format!("illegal name for an actor under /user: {reason}"));
        assert!(format!("{error:?}").len() < 250, "a log line, not the name: {error:?}");
        let inside = sim.block_on(parent.ask(|reply| (name, reply))).unwrap();
        assert_eq!(inside, Some(format!("illegal name for an actor under /user/parent: {reason}")));
    }
    assert_eq!(system.stats().spawned, 1, "nothing was started");
}

#[test]
fn an_illegal_name_of_a_system_is_refused_in_the_same_way() {
    let (sim, _system) = world();
    for (name, reason) in illegal() {
        let error = sim.block_on(ActorSystem::builder(&name).env(sim.env()).start()).unwrap_err();
        assert!(matches!(error, StartError::IllegalName(_)), "{error:?}");
        assert_eq!(in_full(&error), format!("illegal name for a system: {reason}"));
    }
}

#[test]
fn a_name_that_is_taken_is_refused_until_its_actor_has_stopped() {
    let (sim, system) = world();
    let first = system.spawn("name", || Echo).unwrap();
    let error = system.spawn("name", || Echo).unwrap_err();
    let SpawnError::NameTaken { path } = &error else { panic!("{error:?}") };
    assert_eq!(path, first.path());
    let text = "the name /user/name is taken: choose another, or await the stop of the actor that has it";
    assert_eq!(in_full(&error), text);
    assert!(answers(&sim, &first), "the refusal is nothing to the one who has the name");
    sim.block_on(first.stop());
    let second = system.spawn("name", || Echo).unwrap();
    assert_ne!(first, second);
    assert!(answers(&sim, &second) && !answers(&sim, &first));
}

#[test]
fn names_that_only_look_odd_are_names() {
    let (sim, system) = world();
    for name in [" ", ".", "..", "a b", "données", "名前", "🦀", "a$", "\u{202e}", &"x".repeat(255)] {
        let actor = system.spawn(name, || Echo).unwrap();
        assert!(answers(&sim, &actor), "{name:?}");
        assert_eq!(system.lookup::<(u64, ReplyTo<u64>)>(actor.path().as_str()).unwrap(), actor);
    }
}

#[test]
fn a_path_that_nobody_can_have_is_refused_with_a_short_error() {
    let (_sim, system) = world();
    let huge = "/x".repeat(5_000);
    let long = format!("/user/{}", "x".repeat(10_000));
    let cases = [
        ("", "not the path of an actor: the path does not start with '/'"),
        ("user/name", "not the path of an actor: the path does not start with '/'"),
        ("/user//name", "not the path of an actor: segment 2 of the path cannot be the name of an actor"),
        ("/user/\n", "not the path of an actor: segment 2 of the path cannot be the name of an actor"),
        (&long, "not the path of an actor: segment 2 of the path cannot be the name of an actor"),
        (&huge, "not the path of an actor: the path has 5000 segments; no actor lives deeper than 64"),
        ("/", "there is no actor at /"),
        ("/user", "there is no actor at /user"),
    ];
    for (path, text) in cases {
        let error = system.lookup::<String>(path).unwrap_err();
        let told = in_full(&error);
        assert!(told.starts_with(text), "{told}");
        assert!(told.len() < 250 && format!("{error:?}").len() < 250, "{told}");
    }
}

#[test]
fn a_reference_to_a_child_of_an_illegal_name_is_just_not_there() {
    /// Looks for children it cannot have.
    struct Looking;
    impl Actor for Looking {
        type Msg = ReplyTo<usize>;
        async fn receive(&mut self, reply: ReplyTo<usize>, ctx: &mut Context<Self>) -> Result<(), Failure> {
            let found = illegal().into_iter().filter(|(name, _)| ctx.child::<String>(name).is_some());
            reply.send(found.count());
            Ok(())
        }
    }
    let (sim, system) = world();
    let looking = system.spawn("looking", || Looking).unwrap();
    assert_eq!(sim.block_on(looking.ask(|reply| reply).within(SECOND)).unwrap(), 0);
}
