//! A wire between a journal and a server that a test can cut.

use std::sync::Arc;

use omnitron_runtime::Env;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards to a server. Its drop cuts everything.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
    cut: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// How many bytes from the program pass, and from the server, until everything is cut.
    left: Option<(u64, u64)>,
    refuses: bool,
    /// Whether nobody may connect once that has happened.
    refuses_then: bool,
    cuts: u64,
}

impl Proxy {
    pub(crate) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (state, (cut, is_cut)) = (Arc::<Mutex<State>>::default(), watch::channel(0));
        let (env, shared, cutter) = (Env::tokio().unwrap(), Arc::clone(&state), cut.clone());
        env.clone().spawn(String::new, async move {
            let mut over = is_cut.clone();
            loop {
                let accepted = tokio::select! {
                    biased;
                    over = over.wait_for(|n| *n == u64::MAX) => { drop(over); return }
                    accepted = listener.accept() => accepted,
                };
                let Ok((program, _)) = accepted else { return };
                if shared.lock().refuses {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { continue };
                let (shared, cutter, is_cut) = (Arc::clone(&shared), cutter.clone(), cutter.subscribe());
                env.spawn(String::new, wire(program, server, shared, cutter, is_cut));
            }
        });
        Self { port, state, cut }
    }

    /// Cuts every wire when so many bytes more went one way or the other.
    pub(crate) fn cut_after(&self, from_program: u64, from_server: u64) {
        self.state.lock().left = Some((from_program, from_server));
    }

    /// Cuts every wire with the next answer of the server, which does not pass, and lets nobody connect then.
    pub(crate) fn cut_answer_and_refuse(&self) {
        let mut state = self.state.lock();
        (state.left, state.refuses_then) = (Some((u64::MAX, 0)), true);
    }

    /// Cuts every wire now, and lets nobody connect, until the next call.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.state.lock().refuses = refuses;
        if refuses {
            self.cut.send_modify(|n| *n += 1);
        }
    }

    pub(crate) fn cuts(&self) -> u64 {
        self.state.lock().cuts
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut.send_replace(u64::MAX);
    }
}

async fn wire(
    program: TcpStream,
    server: TcpStream,
    state: Arc<Mutex<State>>,
    cut: watch::Sender<u64>,
    mut is_cut: watch::Receiver<u64>,
) {
    is_cut.mark_unchanged();
    let (mut program_in, mut program_out) = program.into_split();
    let (mut server_in, mut server_out) = server.into_split();
    let there = pass(&mut program_in, &mut server_out, &state, true);
    let back = pass(&mut server_in, &mut program_out, &state, false);
    let is_spent = tokio::select! {
        biased;
        _ = is_cut.changed() => false,
        spent = there => spent,
        spent = back => spent,
    };
    if is_spent {
        state.lock().cuts += 1;
        cut.send_modify(|n| *n += 1);
    }
}

/// Passes bytes on until one end is closed. `true`: all that may pass have passed.
async fn pass(
    from: &mut tokio::net::tcp::OwnedReadHalf,
    to: &mut tokio::net::tcp::OwnedWriteHalf,
    state: &Mutex<State>,
    is_program: bool,
) -> bool {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let Ok(read @ 1..) = from.read(&mut bytes).await else { return false };
        let (passing, is_spent) = {
            let mut state = state.lock();
            let left = state.left.as_mut().map(|(program, server)| if is_program { program } else { server });
            let passing = left.map_or(read, |left| {
                let passing = usize::try_from(*left).unwrap().min(read);
                *left -= passing as u64;
                passing
            });
            let is_spent = passing < read;
            if is_spent {
                state.left = None;
                state.refuses |= std::mem::take(&mut state.refuses_then);
            }
            (passing, is_spent)
        };
        if to.write_all(&bytes[..passing]).await.is_err() {
            return false;
        }
        if is_spent {
            return true;
        }
    }
}
