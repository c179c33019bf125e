//! Is what does not fit refused at the start, with words that help, and what does taken?

use std::time::Duration;

use futures_util::future::join_all;
use omnitron_persistence::Slices;
use omnitron_persistence::backend::JournalBackend;
use omnitron_persistence::backend::log::OpenError;
use omnitron_persistence::backend::postgres::{self, Options, Postgres};
use omnitron_runtime::Env;
use omnitron_runtime::testkit::Sim;

use crate::faults::{append, claim_all, event, id, numbers, options};
use crate::server::{PASSWORD, Server, free_port, schema, shared};

async fn try_open(addresses: &[String], options: Options) -> Result<Postgres, OpenError> {
    let options = options.answer_within(Duration::from_secs(5));
    postgres::open(&Env::tokio().unwrap(), addresses.to_vec(), options).await
}

async fn refusal(addresses: &[String]) -> OpenError {
    match try_open(addresses, Options::default()).await {
        Err(error) => {
            assert!(!error.fault().to_string().contains(PASSWORD), "no error tells a password");
            error
        }
        Ok(_) => panic!("it was opened"),
    }
}

/// That an error names the place and says all of this.
fn says(error: &OpenError, place: &str, words: &[&str]) {
    let text = error.fault().to_string();
    assert!(text.contains(place), "{place}: {text}");
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_or_entered_is_named_with_what_to_do() {
    let Some(servers) = shared() else { return };
    let good = schema(&servers[..1]).await.remove(0);
    let place = format!("127.0.0.1:{}", servers[0].port);
    let wrong_password = refusal(&[good.replace(PASSWORD, "wrong-wrong")]).await;
    says(&wrong_password, &place, &["password authentication failed", "28P01", "Correct user and password"]);
    assert!(!wrong_password.fault().to_string().contains("wrong-wrong"));
    let no_user = refusal(&[good.replace("omnitron:", "nobody:")]).await;
    says(&no_user, &place, &["Correct user and password"]);
    let no_database = refusal(&[good.replace("/postgres?", "/missing?")]).await;
    says(&no_database, &format!("{place}/missing"), &["3D000", "Create the database"]);
    let no_schema = refusal(&[good.replace("search_path%3D", "search_path%3Dno_")]).await;
    says(&no_schema, &place, &["3F000", "search path"]);
    let nobody = free_port();
    let wrong_port = refusal(&[good.replace(&servers[0].port.to_string(), &nobody.to_string())]).await;
    says(&wrong_port, &format!("127.0.0.1:{nobody}"), &["refused", "Look at the server"]);
    let wrong_host = refusal(&[good.replace("127.0.0.1", "no-such-host.invalid")]).await;
    says(&wrong_host, "no-such-host.invalid", &["Look at the server"]);
    let none = refusal(&[]).await;
    says(&none, "addresses", &["there is no address"]);
    assert!(matches!(none, OpenError::Unavailable(_)));
    let sim = postgres::open(&Sim::new(1).env(), [good], Options::default()).await;
    assert!(sim.is_err_and(|error| error.fault().to_string().contains("simulation")));
}

#[tokio::test]
async fn the_servers_of_a_journal_are_given_all_in_their_order_and_no_others() {
    let Some(servers) = shared() else { return };
    let addresses = schema(&servers[..]).await;
    let others = schema(&servers[..]).await;
    let journal = try_open(&addresses, options()).await.unwrap();
    let (identity, epochs) = (journal.identity(), claim_all(&journal).await);
    append(&journal, &epochs, &id("a"), 0, vec![event(1)]).await.unwrap();
    journal.close().await;
    drop(try_open(&others[..1], Options::default()).await.unwrap());
    let [first, second] = [addresses[0].clone(), addresses[1].clone()];
    for (given, words) in [
        (
            vec![second.clone(), first.clone()],
            &["address 1 of 2", "is server 2 of its journal", "in the order"][..],
        ),
        (vec![first.clone()], &["has 2 servers", "1 addresses", "all servers"]),
        (vec![first.clone(), others[0].clone()], &["another address holds journal", "one journal"]),
        (vec![first.clone(), others[1].clone()], &["address 2 of 2", "is empty", "restore"]),
    ] {
        let error = refusal(&given).await;
        assert!(matches!(error, OpenError::Foreign(_)), "{error:?}");
        says(&error, "127.0.0.1", words);
    }
    let twice = refusal(&[first.clone(), first]).await;
    says(&twice, "address 2 of 2", &["Name every database once"]);
    let slices = try_open(&addresses, Options::default().slices(Slices::new(5).unwrap())).await;
    says(&slices.err().unwrap(), "127.0.0.1", &["4 slices", "5 were asked for"]);
    let again = try_open(&addresses, Options::default()).await.unwrap();
    assert_eq!((again.identity(), again.slices()), (identity, Slices::new(4).unwrap()));
    assert_eq!(numbers(&again, &id("a")).await, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_who_create_a_journal_at_once_all_get_the_same() {
    let Some(servers) = shared() else { return };
    for _ in 0..5 {
        let addresses = schema(&servers[..]).await;
        let all = join_all((0..6).map(|_| try_open(&addresses, options()))).await;
        let identities: Vec<u64> = all.into_iter().map(|journal| journal.unwrap().identity()).collect();
        assert!(identities.iter().all(|&identity| identity == identities[0]), "{identities:?}");
    }
}

#[tokio::test]
async fn tables_come_forward_from_every_version_and_newer_ones_are_refused() {
    let Some(servers) = shared() else { return };
    let addresses = schema(&servers[..1]).await;
    let name = addresses[0].rsplit("%3D").next().unwrap().to_owned();
    let journal = try_open(&addresses, options()).await.unwrap();
    let epochs = claim_all(&journal).await;
    append(&journal, &epochs, &id("a"), 0, vec![event(1)]).await.unwrap();
    journal.close().await;
    // As the first version left it.
    let sql = format!(
        "SET search_path = {name}; DROP TABLE omnitron_snapshot, omnitron_lease; UPDATE omnitron_journal SET version = 1"
    );
    servers[0].run(&sql).await;
    let journal = try_open(&addresses, options()).await.unwrap();
    assert_eq!(numbers(&journal, &id("a")).await, [1]);
    assert_eq!(journal.leases().unwrap().read("any").await, Ok(None));
    journal.close().await;
    servers[0].run(&format!("UPDATE {name}.omnitron_journal SET version = 99")).await;
    let error = refusal(&addresses).await;
    assert!(matches!(error, OpenError::Newer(_)));
    says(&error, "127.0.0.1", &["version 99", "up to version 3", "Run the newer program"]);
}

#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    let Some(server) = Server::start() else { return };
    let role = format!(
        "CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'; CREATE SCHEMA shop; GRANT USAGE ON SCHEMA shop TO app"
    );
    server.run(&role).await;
    let address = server.url("shop").replace("omnitron:", "app:");
    let error = refusal(std::slice::from_ref(&address)).await;
    says(&error, "127.0.0.1", &["permission denied for schema shop", "CREATE and USAGE"]);
    // Made by another user, who gives too little.
    drop(try_open(&[server.url("shop")], options()).await.unwrap());
    let error = refusal(std::slice::from_ref(&address)).await;
    says(&error, "127.0.0.1", &["SELECT on omnitron_journal", "Grant"]);
    server.run("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA shop TO app").await;
    let error = refusal(std::slice::from_ref(&address)).await;
    says(&error, "127.0.0.1", &["DELETE on omnitron_event", "DELETE on omnitron_tag"]);
    server.run("GRANT DELETE ON ALL TABLES IN SCHEMA shop TO app").await;
    let journal = try_open(std::slice::from_ref(&address), options()).await.unwrap();
    let epochs = claim_all(&journal).await;
    append(&journal, &epochs, &id("a"), 0, vec![event(1)]).await.unwrap();
    journal.close().await;
    server.run("ALTER ROLE app CONNECTION LIMIT 0").await;
    says(&refusal(&[address]).await, "127.0.0.1", &["53300", "Allow the server more connections"]);
    // A server that takes no writes.
    server.run("ALTER DATABASE postgres SET default_transaction_read_only = on").await;
    says(&refusal(&[server.url("shop")]).await, "127.0.0.1", &["takes no writes"]);
}

#[tokio::test]
async fn what_was_changed_behind_its_back_is_an_error_and_no_event() {
    let Some(servers) = shared() else { return };
    let addresses = schema(&servers[..1]).await;
    let name = addresses[0].rsplit("%3D").next().unwrap().to_owned();
    let journal = try_open(&addresses, options()).await.unwrap();
    let epochs = claim_all(&journal).await;
    for who in ["a", "b", "c"] {
        append(&journal, &epochs, &id(who), 0, (1..=4).map(event).collect()).await.unwrap();
    }
    let read = async |who: &str| {
        use futures_util::TryStreamExt;
        use omnitron_persistence::Sequence;
        let events = journal.read(&id(who), Sequence::ZERO, Sequence::MAX).try_collect::<Vec<_>>();
        events.await.map_err(|error| error.fault().to_string())
    };
    servers[0]
        .run(&format!("UPDATE {name}.omnitron_event SET payload = '\\x00' WHERE id = 'a' AND sequence = 3"))
        .await;
    assert!(read("a").await.unwrap_err().contains("event 3 of `a`"));
    servers[0].run(&format!("DELETE FROM {name}.omnitron_event WHERE id = 'b' AND sequence IN (2, 3)")).await;
    assert!(read("b").await.unwrap_err().contains("events 2 to 3 of `b` are missing"));
    assert_eq!(read("c").await.unwrap().len(), 4);
    servers[0].run(&format!("DROP TABLE {name}.omnitron_fence")).await;
    let error = append(&journal, &epochs, &id("c"), 4, vec![event(5)]).await.unwrap_err();
    assert!(error.fault().is_some_and(|fault| fault.advice().contains("restore")), "{error:?}");
}
