//! Where are the servers, and is that an address at all?
//!
//! # Invariants
//!
//! * No error and no log line holds a password: a place is a host, a port and a database.

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::backend::Fault;

const ADVICE: &str = "Write it as postgres://user:password@host:port/database";

/// One server, as it is reached.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) config: Config,
    /// Hosts, ports and database, for people.
    pub(crate) place: String,
}

impl Address {
    /// Whether both lead to the same tables, as far as one can see.
    fn is_same(&self, other: &Self) -> bool {
        self.place == other.place && self.config.get_options() == other.config.get_options()
    }
}

/// The servers in the order in which they were given.
pub(crate) fn addresses(urls: &[String]) -> Result<Vec<Address>, Fault> {
    let count = urls.len();
    if urls.is_empty() {
        return Err(Fault::new("there is no address", "the addresses of the servers", ADVICE));
    }
    let mut addresses: Vec<Address> = Vec::with_capacity(count);
    for (number, url) in (1..).zip(urls) {
        let which = format!("address {number} of {count}");
        let address = address(url).map_err(|what| Fault::new(what, &which, ADVICE))?;
        if let Some(at) = addresses.iter().position(|before| before.is_same(&address)) {
            let what = format!("it names {}, as address {} does", address.place, at + 1);
            return Err(Fault::new(what, which, "Name every database once"));
        }
        addresses.push(address);
    }
    Ok(addresses)
}

fn address(url: &str) -> Result<Address, String> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err("it does not begin with postgres://".to_owned());
    }
    let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        format!("it cannot be read: {}", cause.unwrap_or_else(|| error.to_string()))
    })?;
    let hosts = config.get_hosts();
    if hosts.is_empty() {
        return Err("it names no host".to_owned());
    }
    let Some(database) = config.get_dbname().filter(|name| !name.is_empty()).map(str::to_owned) else {
        return Err("it names no database".to_owned());
    };
    if config.get_user().is_none_or(str::is_empty) {
        return Err("it names no user".to_owned());
    }
    if matches!(config.get_ssl_mode(), SslMode::Require) {
        return Err(
            "it asks for TLS, which is not built in: let a proxy beside the program speak it".to_owned()
        );
    }
    let ports = config.get_ports();
    let port = |at: usize| ports.get(at).or_else(|| ports.first()).copied().unwrap_or(5432);
    let host = |(at, host): (usize, &Host)| match host {
        Host::Tcp(name) => format!("{name}:{}", port(at)),
        #[cfg(unix)]
        Host::Unix(path) => format!("{}:{}", path.display(), port(at)),
    };
    let hosts: Vec<String> = hosts.iter().enumerate().map(host).collect();
    let place = format!("{}/{database}", hosts.join(","));
    // A standby cannot be written to, and may be behind: nothing is read from it either.
    config.target_session_attrs(TargetSessionAttrs::ReadWrite).ssl_mode(SslMode::Disable);
    if config.get_application_name().is_none() {
        config.application_name("omnitron");
    }
    Ok(Address { config, place })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(urls: &[&str]) -> Result<Vec<String>, String> {
        let urls: Vec<String> = urls.iter().map(|&url| url.to_owned()).collect();
        let places = |all: Vec<Address>| all.into_iter().map(|address| address.place).collect();
        addresses(&urls).map(places).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_place_names_hosts_ports_and_database_and_no_password() {
        let found = of(&["postgres://me:secret@db1/shop", "postgresql://me@a:1,b:2/shop?connect_timeout=3"]);
        assert_eq!(found.unwrap(), ["db1:5432/shop", "a:1,b:2/shop"]);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_with_the_number_of_the_address() {
        for (url, expected) in [
            ("mysql://me@db1/shop", "begin with postgres://"),
            ("postgres://me@/shop", "no host"),
            ("postgres://me@db1", "no database"),
            ("postgres://db1/shop", "no user"),
            ("postgres://me@db1:port/shop", "cannot be read"),
            ("postgres://me@db1/shop?colour=red", "cannot be read"),
            ("postgres://me@db1/shop?sslmode=require", "TLS"),
            ("postgres://me@db0/shop", "as address 1 does"),
        ] {
            let error = of(&["postgres://me@db0/shop", url]).unwrap_err();
            assert!(error.contains("address 2 of 2") && error.contains(expected), "{url}: {error}");
        }
        assert!(of(&[]).unwrap_err().contains("there is no address"));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_no_password_is_told(text in ".{0,40}", tail in "[ -~]{0,12}") {
            let _ = of(&[&text]);
            let url = format!("postgres://me:s3cr3tw0rd@{text}/x{tail}");
            if let Err(error) = of(&[&url]) {
                prop_assert!(!error.contains("s3cr3tw0rd"), "{}", error);
            }
        }
    }
}
