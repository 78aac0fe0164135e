//! lapin, the Rust client, against the broker at `LEPUS_URL`: runs every scenario, names each, and
//! exits with a failure when one of them fails.

mod consume;
mod errors;
mod prefetch;
mod publish;
mod support;

use std::{future::Future, pin::Pin, process::ExitCode, time::Duration};

use anyhow::Result;
use support::Fixture;

/// What one scenario may take, connecting included.
const DEADLINE: Duration = Duration::from_secs(30);

type Outcome = Pin<Box<dyn Future<Output = Result<()>>>>;

/// A named scenario; each has a connection, a channel and a queue of its own.
struct Scenario {
    name: &'static str,
    run: fn(Fixture) -> Outcome,
}

/// Lists async functions as scenarios under their own names.
macro_rules! scenarios {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$(Scenario {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |fixture| Box::pin($module::$name(fixture)),
        }),*]
    };
}

const SCENARIOS: &[Scenario] = scenarios![
    publish::default_exchange_and_get,
    publish::confirms,
    publish::mandatory_is_returned_with_its_confirm,
    publish::transaction,
    publish::topic_exchange_and_exchange_binding,
    publish::large_message,
    publish::headers_of_all_types,
    publish::every_property,
    consume::ack_each,
    consume::ack_multiple_and_the_rest_comes_back,
    consume::reject_is_redelivered_in_its_place,
    consume::nack_multiple_without_requeue,
    consume::recover,
    consume::cancel_stops_deliveries,
    consume::cancel_notify_when_the_queue_is_deleted,
    consume::direct_reply_to,
    prefetch::per_consumer,
    prefetch::of_the_channel_is_shared,
    prefetch::of_the_channel_grows_live,
    errors::passive_declares,
    errors::missing_queue,
    errors::missing_exchange,
    errors::unknown_delivery_tag,
    errors::inequivalent_declare,
    errors::locked_to_another_connection,
    errors::exclusive_consumer,
    errors::unknown_vhost,
    errors::wrong_password,
];

async fn attempt(scenario: &Scenario) -> Result<()> {
    let fixture = Fixture::new().await?;
    let connection = fixture.connection.clone();
    (scenario.run)(fixture).await?;
    // The scenario's channels close themselves as they are dropped, and lapin reports such a one as an error here.
    let _ = connection.close(200, "bye".into()).await;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut failed = 0;
    for scenario in SCENARIOS {
        let outcome = match tokio::time::timeout(DEADLINE, attempt(scenario)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow::anyhow!("not within {DEADLINE:?}")),
        };
        match outcome {
            Ok(()) => println!("ok     {}", scenario.name),
            Err(error) => {
                failed += 1;
                println!("FAILED {}: {error:#}", scenario.name);
            }
        }
    }
    println!("lapin: {} passed, {failed} failed", SCENARIOS.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
