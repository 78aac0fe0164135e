//! basic.qos, and the prefetch limit that all consumers of a channel share.

use amq_protocol::protocol::{AMQPClass, basic};
use lepus_protocol::method::Qos;
use lepus_protocol::reply::ReplyCode;

use super::Session;
use super::channel::GlobalLimit;
use crate::error::Refusal;
use crate::out::Out;
use crate::queue::state::{Command, ConsumerKey, Outcome};

impl Session {
    /// basic.qos. As in RabbitMQ, `global` tells a limit for the channel from one for each of its
    /// consumers to come; setting the latter removes the former.
    pub(super) fn qos(&mut self, number: u16, qos: &Qos, out: &mut Out) -> Result<(), Refusal> {
        if qos.prefetch_size != 0 {
            let text = format_args!("prefetch_size!=0 ({})", qos.prefetch_size);
            return Err(Refusal::new(ReplyCode::NotImplemented, text));
        }
        if qos.global {
            self.set_global_limit(number, u32::from(qos.prefetch_count));
        } else {
            self.set_global_limit(number, 0);
            if let Some(channel) = self.channel_mut(number) {
                channel.prefetch = qos.prefetch_count;
            }
        }
        let ok = basic::AMQPMethod::QosOk(basic::QosOk {});
        out.method(number, &AMQPClass::Basic(ok));
        Ok(())
    }

    fn set_global_limit(&mut self, number: u16, limit: u32) {
        let Some(channel) = self.channel_mut(number) else { return };
        match (&mut channel.global, limit) {
            (None, 0) => {}
            (Some(_), 0) => {
                channel.global = None;
                self.set_pull(number, false);
            }
            (Some(global), limit) => global.limit = limit,
            (none, limit) => {
                *none = Some(GlobalLimit { limit, ..GlobalLimit::default() });
                let used = self.set_pull(number, true) + self.held_of_cancelled(number);
                if let Some(global) = self.global_mut(number) {
                    global.used = used;
                }
            }
        }
        self.pull(number);
    }

    fn global_mut(&mut self, number: u16) -> Option<&mut GlobalLimit> {
        self.channel_mut(number)?.global.as_mut()
    }

    /// Makes a channel's consumers pull, or stop it; returns how many messages they hold.
    fn set_pull(&mut self, number: u16, pull: bool) -> u32 {
        let connection = self.peer.connection;
        let mut unacked = 0;
        for (consumer, state) in &self.consumers {
            if state.channel != number || state.cancelled {
                continue;
            }
            let key = ConsumerKey { connection, number: *consumer };
            if let Outcome::Unacked(held) = state.queue.apply(Command::SetPull(key, pull)) {
                unacked += held;
            }
        }
        unacked
    }

    /// Messages that the client still holds from consumers that it has cancelled.
    fn held_of_cancelled(&self, number: u16) -> u32 {
        let Some(channel) = self.channel(number) else { return 0 };
        let cancelled = |consumer: u32| {
            consumer != 0 && self.consumers.get(&consumer).is_none_or(|state| state.cancelled)
        };
        let held = channel.unacked.iter().filter(|(_, held)| cancelled(held.consumer));
        held.count() as u32
    }

    /// Messages are ready for a consumer under a channel-wide limit.
    pub(super) fn wanted(&mut self, key: ConsumerKey) {
        let Some(channel) = self.consumers.get(&key.number).map(|consumer| consumer.channel) else {
            return;
        };
        if let Some(global) = self.global_mut(channel)
            && !global.wanting.contains(&key.number)
        {
            global.wanting.push_back(key.number);
        }
        self.pull(channel);
    }

    /// Asks the queues of waiting consumers for as many messages as the channel has room for.
    pub(super) fn pull(&mut self, number: u16) {
        let Some(global) = self.global_mut(number) else { return };
        if global.wanting.is_empty() {
            return;
        }
        // Verdicts first: they may be what makes room in a queue's own count for the consumer.
        self.serve_queues();
        let connection = self.peer.connection;
        let mut turns = self.global_mut(number).map_or(0, |global| global.wanting.len());
        while turns > 0 {
            let Some(global) = self.global_mut(number) else { return };
            if global.room() == 0 {
                return;
            }
            let share = global.room().div_ceil(turns as u32);
            turns -= 1;
            let Some(consumer) = global.wanting.pop_front() else { return };
            let Some(state) = self.consumers.get_mut(&consumer) else { continue };
            let key = ConsumerKey { connection, number: consumer };
            let outcome = state.queue.apply(Command::Grant(key, share));
            let Outcome::Granted { used, more } = outcome else { continue };
            // Deliveries without acknowledgement wait for room but take none.
            let taken = if state.no_ack { 0 } else { used };
            state.granted += taken;
            if let Some(global) = self.global_mut(number) {
                global.used += taken;
                if more {
                    global.wanting.push_back(consumer);
                }
            }
            if more && used == share {
                // There may be room for another round.
                turns += 1;
            }
        }
    }
}
