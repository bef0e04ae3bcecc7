//! Live traffic that nobody stores: publishers send packets that were encoded ahead, subscribers account for each delivery.

mod ledger;
mod publisher;
mod scenario;
mod shape;
mod subscriber;
mod tape;

use std::rc::Rc;
use std::time::Duration;

use tokio::task::{JoinSet, LocalSet};

use crate::connection::Connection;
use crate::error::BenchError;
use crate::measure::{anonymous_bytes, measure};
use crate::row::Row;
use crate::target::Target;
use crate::wire::Wire;
use ledger::Ledger;
use publisher::Publisher;
use scenario::{Pace, SCENARIOS, Scenario};
use subscriber::{Checks, Subscriber};
use tape::Tape;

/// Which scenario.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub target: Target,
    /// Short name of the scenario
    #[arg(long, value_name = "NAME", value_parser = named)]
    scenario: &'static Scenario,
    /// Send only one of so many messages
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    divisor: u64,
}

/// Runs a scenario from first message to last delivery.
///
/// # Errors
/// If the broker refuses something, closes a connection, or cannot be measured.
pub async fn run(args: &Args) -> Result<Row, BenchError> {
    LocalSet::new().run_until(run_local(args)).await
}

async fn run_local(args: &Args) -> Result<Row, BenchError> {
    let scenario = args.scenario;
    let messages_each = scenario.messages_each(args.target.side, args.divisor);
    let timed = matches!(scenario.pace, Pace::One | Pace::PerSecond(_));
    let ledger = Rc::new(Ledger::new(scenario, messages_each, timed));

    let anonymous_before = anonymous_bytes(args.target.pid)?;
    let subscribers = subscribe(args, &ledger).await?;
    let subscribed_bytes = anonymous_bytes(args.target.pid)?.saturating_sub(anonymous_before);
    let publishers = connect(args, &ledger, messages_each).await?;

    let mut receiving = JoinSet::new();
    for subscriber in subscribers {
        receiving.spawn_local(subscriber.run());
    }
    let exchange = exchange(scenario, publishers, &mut receiving, &ledger);
    let (wires, usage) = measure(args.target.pid, args.target.timeout(), exchange).await?;
    tokio::time::sleep(SURPLUS_WAIT).await;
    receiving.shutdown().await;
    drop(wires);

    let mut row = Row::new(title(args), ledger.messages(), &usage, ledger.faults());
    row.deliveries = ledger.delivered();
    row.latency = ledger.latency();
    if scenario.topics > 1 {
        let subscriptions = scenario.topics * scenario.shape.subscribers();
        row.bytes_each = Some(subscribed_bytes as f64 / subscriptions as f64);
    }
    Ok(row)
}

/// What was done; under another short name than the scenario's, that is told, too.
fn title(args: &Args) -> String {
    let title = args.scenario.title;
    match args.target.label() {
        Some(label) if label.key != args.scenario.key && args.target.tls.is_none() => format!("{title}, {}", label.key),
        _ => title.to_owned(),
    }
}

async fn subscribe(args: &Args, ledger: &Rc<Ledger>) -> Result<Vec<Subscriber>, BenchError> {
    let Scenario { shape, version, .. } = *args.scenario;
    let tapes: Result<_, _> = (0..shape.publishers())
        .map(|index| Tape::new(args.scenario, index))
        .collect();
    let tapes: Rc<Vec<Tape>> = Rc::new(tapes?);
    let mut subscribers = Vec::new();
    for index in 0..shape.subscribers() {
        let name = format!("subscriber-{index}");
        let mut connection = Connection::open_with(args.target.broker, version, &name, INPUT_BYTES).await?;
        let filters = shape.filters(index, args.scenario.topics, args.scenario.wildcards);
        for some in filters.chunks(FILTERS_AT_A_TIME) {
            let selector = args.scenario.selector(index);
            let user = selector.map(|text| ("selector".to_owned(), text)).into_iter().collect();
            connection.subscribe_all(some, args.scenario.qos, user).await?;
        }
        let checks = Checks {
            version,
            shares: shape.shares(),
            tapes: Rc::clone(&tapes),
            next: vec![0; shape.publishers()],
            ledger: Rc::clone(ledger),
        };
        let wire = connection.into_wire();
        subscribers.push(Subscriber { wire, checks });
    }
    Ok(subscribers)
}

/// Brokers deal connections to their workers in turn: those with an even number go first, so that with two workers some
/// pairs meet on one and some do not.
async fn connect(args: &Args, ledger: &Rc<Ledger>, messages: u64) -> Result<Vec<Publisher>, BenchError> {
    let count = args.scenario.shape.publishers();
    let mut publishers = Vec::new();
    for index in (0..count).step_by(2).chain((1..count).step_by(2)) {
        let name = format!("publisher-{index}");
        let version = args.scenario.version;
        publishers.push(Publisher {
            index,
            wire: Connection::open_with(args.target.broker, version, &name, INPUT_BYTES)
                .await?
                .into_wire(),
            tape: Tape::new(args.scenario, index)?,
            messages,
            ledger: Rc::clone(ledger),
        });
    }
    Ok(publishers)
}

/// From the first message to the last delivery, or until nothing comes any more; keeps the connections for later.
async fn exchange(
    scenario: &'static Scenario,
    publishers: Vec<Publisher>,
    receiving: &mut JoinSet<Result<(), BenchError>>,
    ledger: &Ledger,
) -> Result<Vec<Wire>, BenchError> {
    let mut sending = JoinSet::new();
    for publisher in publishers {
        sending.spawn_local(publisher.run(scenario));
    }
    let mut wires = Vec::new();
    let mut settled = std::pin::pin!(ledger.settled());
    let mut arrived = false;
    while !arrived || !sending.is_empty() {
        tokio::select! {
            Some(wire) = sending.join_next() => wires.push(wire??),
            Some(failed) = receiving.join_next() => failed??,
            () = &mut settled, if !arrived => {
                arrived = true;
                if !ledger.is_complete() {
                    break;
                }
            }
        }
    }
    Ok(wires)
}

fn named(name: &str) -> Result<&'static Scenario, String> {
    Scenario::named(name).ok_or_else(|| {
        let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.key).collect();
        format!("there are {}", names.join(", "))
    })
}

/// What one read takes at most, until a packet is larger.
const INPUT_BYTES: usize = 64 << 10;
const FILTERS_AT_A_TIME: usize = 500;
/// How long to look for deliveries behind the last one that is due.
const SURPLUS_WAIT: Duration = Duration::from_millis(200);
