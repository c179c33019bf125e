//! Servers for tests: started when a test needs them, stopped by their process id when no test does.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

pub(crate) const PASSWORD: &str = "s3cr3t";

/// Where the programs of PostgreSQL are. `None`: nowhere.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    versions.sort();
    let all = versions.into_iter().rev().chain(std::env::split_paths(&path));
    all.into_iter().find(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists())
}

/// Who runs a server: not root, which PostgreSQL refuses. `None`: whoever runs the tests.
fn owner() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").map_or(1, |process| process.uid()) != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = ["postgres", "nobody"].iter().find_map(|name| {
        let mut fields =
            users.lines().find_map(|line| line.strip_prefix(&format!("{name}:")))?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    Some(user.unwrap_or((65_534, 65_534)))
}

/// A server of its own. Its drop stops it and removes its files.
pub(crate) struct Server {
    folder: PathBuf,
    pub(crate) port: u16,
}

fn command(program: &str) -> Option<Command> {
    let mut command = Command::new(programs()?.join(program));
    if let Some((user, group)) = owner() {
        command.uid(user).gid(group);
    }
    command
        .current_dir("/")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    Some(command)
}

/// Runs a program to its end, and says what it complained of.
fn done(mut command: Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// `None`: PostgreSQL is missing, and the test is to be skipped.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// With settings beside those of tests.
    pub(crate) fn start_with(settings: &[&str]) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Some(mut initdb) = command("initdb") else {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "PostgreSQL is missing");
            eprintln!("skipped: PostgreSQL is missing (install the package postgresql)");
            return None;
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("omnitron-postgres-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        if let Some((user, group)) = owner() {
            chown(&folder, Some(user), Some(group)).unwrap();
        }
        let password = folder.join("password");
        fs::write(&password, PASSWORD).unwrap();
        initdb.arg("-D").arg(folder.join("data")).args([
            "-U",
            "omnitron",
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
        ]);
        initdb.args(["--no-sync", "--locale=C", "--pwfile"]).arg(&password);
        done(initdb).unwrap();
        let server = Self { folder, port: free_port() };
        server.launch(settings);
        Some(server)
    }

    /// A standby that follows it. It has to be synchronous from here on.
    pub(crate) async fn standby(&self) -> Self {
        let folder = self.folder.with_extension("standby");
        fs::create_dir_all(&folder).unwrap();
        if let Some((user, group)) = owner() {
            chown(&folder, Some(user), Some(group)).unwrap();
        }
        let mut copy = command("pg_basebackup").unwrap();
        copy.env("PGPASSWORD", PASSWORD).arg("-D").arg(folder.join("data"));
        copy.args(["-R", "-X", "stream", "--checkpoint=fast", "-h", "127.0.0.1", "-U", "omnitron", "-p"]);
        copy.arg(self.port.to_string());
        done(copy).unwrap();
        let standby = Self { folder, port: free_port() };
        standby.launch(&[]);
        self.run("ALTER SYSTEM SET synchronous_standby_names = '*'").await;
        self.run("SELECT pg_reload_conf()").await;
        let client = self.client().await;
        let sync = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        while client.query_one(sync, &[]).await.unwrap().get::<_, i64>(0) == 0 {}
        standby
    }

    /// Makes a standby the server that takes writes.
    pub(crate) fn promote(&self) {
        let mut promote = command("pg_ctl").unwrap();
        promote.args(["promote", "-w", "-D"]).arg(self.data());
        done(promote).unwrap();
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Starts it, and waits until it answers. Processes of a server that was killed may still be about to end.
    pub(crate) fn launch(&self, settings: &[&str]) {
        let mut last = String::new();
        for _ in 0..20 {
            let mut start = command("pg_ctl").unwrap();
            // A killed process loses nothing that was written, so the disk need not be waited for.
            let mut options = format!(
                "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c max_connections=200 -c shared_buffers=32MB",
                self.port
            );
            for setting in settings {
                options = format!("{options} -c {setting}");
            }
            start.args(["start", "-w", "-t", "60", "-D"]).arg(self.data()).arg("-o").arg(options);
            // Its log, because a server keeps the handles it was given open.
            start.arg("-l").arg(self.folder.join("log")).stderr(Stdio::null());
            match start.status() {
                Ok(status) if status.success() => return,
                other => last = format!("{other:?}"),
            }
        }
        panic!(
            "the server does not start: {last}\n{}",
            fs::read_to_string(self.folder.join("log")).unwrap_or_default()
        );
    }

    /// Ends it in good order, connections and all.
    pub(crate) fn stop(&self) {
        let mut stop = command("pg_ctl").unwrap();
        stop.args(["stop", "-m", "fast", "-w", "-D"]).arg(self.data());
        drop(done(stop));
    }

    /// The ids of its processes, itself first.
    fn processes(&self) -> Vec<String> {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let Some(server) = file.lines().next().map(str::to_owned) else { return Vec::new() };
        let children =
            fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap_or_default();
        std::iter::once(server).chain(children.split_whitespace().map(str::to_owned)).collect()
    }

    fn signal(&self, signal: &str) {
        let mut kill = Command::new("kill");
        kill.arg(signal).args(self.processes()).stderr(Stdio::null());
        drop(kill.status());
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&self) {
        self.signal("-KILL");
    }

    /// Lets it stand still.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    /// Its address, for the tables in a schema.
    pub(crate) fn url(&self, schema: &str) -> String {
        address(self.port, schema)
    }

    /// A client that does what a test wants.
    pub(crate) async fn client(&self) -> tokio_postgres::Client {
        let config: tokio_postgres::Config = self.url("public").parse().unwrap();
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        omnitron_runtime::Env::tokio().unwrap().spawn(String::new, async move { drop(connection.await) });
        client
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.client().await.batch_execute(sql).await.unwrap();
    }
}

pub(crate) fn address(port: u16, schema: &str) -> String {
    format!("postgres://omnitron:{PASSWORD}@127.0.0.1:{port}/postgres?options=-csearch_path%3D{schema}")
}

impl Drop for Server {
    fn drop(&mut self) {
        self.resume();
        let mut stop = command("pg_ctl").unwrap();
        stop.args(["stop", "-m", "immediate", "-w", "-D"]).arg(self.data());
        drop(done(stop));
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Two servers that tests share which harm nobody else's.
pub(crate) fn shared() -> Option<Arc<[Server; 2]>> {
    static SHARED: Mutex<Weak<[Server; 2]>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock();
    if let Some(servers) = shared.upgrade() {
        return Some(servers);
    }
    let servers = Arc::new([Server::start()?, Server::start()?]);
    *shared = Arc::downgrade(&servers);
    Some(servers)
}

/// A schema of its own on each of the servers. The addresses of both.
pub(crate) async fn schema(servers: &[Server]) -> Vec<String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("s{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    for server in servers {
        server.run(&format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")).await;
    }
    servers.iter().map(|server| server.url(&name)).collect()
}
