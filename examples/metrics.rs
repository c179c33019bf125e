//! Metrics: the figures of a system on a page for Prometheus, scraped once by the program itself.
//!
//! A program of one's own needs the feature: `omnitron = { features = ["metrics"] }`. It would let the exporter serve the
//! page (`PrometheusBuilder::install`, its feature `http-listener`); here ten lines on a thread do, without an HTTP server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use omnitron::Metrics;
use omnitron::prelude::*;

/// Brews coffee, tea fails.
#[derive(Default)]
struct Barista;

enum Order {
    Coffee,
    Tea,
}

impl Actor for Barista {
    type Msg = Order;

    async fn receive(&mut self, order: Order, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        match order {
            Order::Coffee => Ok(()),
            Order::Tea => Err(Failure::msg("no tea here")),
        }
    }
}

/// Answers every request with the page.
fn serve(listener: &TcpListener, page: &PrometheusHandle) -> std::io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept()?;
        let _ = stream.read(&mut [0; 1024])?;
        let body = page.render();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
    }
}

/// What Prometheus does every few seconds.
fn scrape(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A recorder is installed once per process. The extension finds it by itself.
    let page = PrometheusBuilder::new().install_recorder()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;

    let every = Duration::from_millis(100);
    let system = ActorSystem::builder("cafe").extension(Metrics::every(every)).start().await?;
    system.env().thread("page", move || {
        if let Err(error) = serve(&listener, &page) {
            eprintln!("no page any more: {error}");
        }
    })?;
    for name in ["ada", "bob"] {
        let barista = system.spawn(name, Barista::default)?;
        for order in [Order::Coffee, Order::Tea, Order::Coffee] {
            barista.tell(order)?;
        }
    }
    // The last reading is taken at the end, so that nothing is missing from it.
    system.shutdown().await;

    let answer = scrape(address)?;
    println!("from http://{address}/metrics");
    for line in answer.lines().filter(|line| line.starts_with("omnitron_")) {
        println!("{line}");
    }
    assert!(answer.contains("omnitron_messages_total{system=\"cafe\"} 6\n"));
    assert!(answer.contains("omnitron_group_failures_total{system=\"cafe\",group=\"bob\"} 1\n"));
    Ok(())
}
