//! What is there after a restart.

use lepus_tests::*;

use crate::client::{Client, PLAIN};
use crate::flavour::Flavour;
use crate::trace::Names;

/// Which queues and exchanges there are, and the counts.
pub fn declared(client: &mut Client, seed: u64) {
    let names = Names::of(seed);
    for queue in &names.queues {
        let answer = client.count(PLAIN, queue).map(|count| format!("{count} ready"));
        println!("seed {seed} queue {queue} => {}", answer.unwrap_or_else(|refusal| refusal));
    }
    for (exchange, _) in &names.exchanges {
        let answer = client.ask::<exchange::DeclareOk>(PLAIN, look_exchange(exchange));
        let answer = answer.map_or_else(|refusal| refusal, |_| "there".to_owned());
        println!("seed {seed} exchange {exchange} => {answer}");
    }
}

/// Everything that the queues hold, in order, and where the bindings lead; then all is deleted.
pub fn held(client: &mut Client, seed: u64) {
    let names = Names::of(seed);
    client.recycle(PLAIN);
    // Full queues would have letters for one another.
    let probed = names.exchanges.iter().filter(|_| Flavour::of(seed) != Flavour::Full);
    for (exchange, _) in probed {
        for key in ["a", "b", "a.b"] {
            let probe = (headers([("a", text(key))]), format!("{exchange} {key}").into_bytes());
            let answer = client.publish(PLAIN, publish(exchange, key), &probe);
            let answer = answer.unwrap_or_else(|refusal| refusal);
            println!("seed {seed} probe {exchange} {key} => {answer}");
        }
    }
    let _ = client.ask::<queue::DeleteOk>(PLAIN, delete(&names.limited()));
    for queue in &names.queues {
        let mut messages = Vec::new();
        let end = loop {
            match client.get(PLAIN, queue, true) {
                Ok(Some((_, text))) => messages.push(text),
                Ok(None) => break "end".to_owned(),
                Err(refusal) => break refusal,
            }
        };
        println!("seed {seed} drain {queue} => {}; {end}", messages.join("; "));
        drop(client.ask::<queue::DeleteOk>(PLAIN, delete(queue)));
    }
    for (exchange, _) in &names.exchanges {
        drop(client.ask::<exchange::DeleteOk>(PLAIN, delete_exchange(exchange)));
    }
}
