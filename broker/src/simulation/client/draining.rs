//! A client that takes all that there is.

use lepus_protocol::method::Verdict;

use super::super::laws::LAWS;
use super::super::model::Held;
use super::super::scene::Scene;
use super::{Client, Sent};

impl Client {
    /// Opens a channel for each queue.
    pub fn open_channels(&mut self, scene: &mut Scene) {
        let Some(connection) = &mut self.connection else { return };
        let queues = all(scene).len() as u16;
        (1..=queues).for_each(|number| connection.open_channel(number));
    }

    /// Asks how many messages the queues have.
    pub fn look_at_queues(&mut self, scene: &mut Scene) {
        let Some(connection) = &mut self.connection else { return };
        let queues = scene.model.queues().map(|queue| queue.number);
        for (number, queue) in (1..).zip(queues) {
            connection.say(Sent::Passive(number, queue));
        }
    }

    /// Consumes all queues, or begins to get their messages one by one.
    pub fn take_all(&mut self, scene: &mut Scene, get: bool) {
        let Some(connection) = &mut self.connection else { return };
        for (number, queue) in (1..).zip(all(scene)) {
            if get {
                connection.say(Sent::Get(number, queue));
            } else {
                connection.say_consume(number, queue);
            }
        }
    }

    /// Goes on getting where there was something; `false` if there is nothing more.
    pub fn take_more(&mut self, _scene: &mut Scene) -> bool {
        let Some(connection) = &mut self.connection else { return false };
        let mut more = Vec::new();
        for (number, channel) in &mut connection.channels {
            let got = channel.unacked.len();
            if let Some(queue) = channel.asked
                && got > channel.got
            {
                channel.got = got;
                more.push(Sent::Get(*number, queue));
            }
        }
        let any = !more.is_empty();
        more.into_iter().for_each(|get| connection.say(get));
        any
    }

    /// Acknowledges all.
    pub fn settle_all(&mut self, _scene: &mut Scene) {
        let Some(connection) = &mut self.connection else { return };
        let mut settled: Vec<(u16, Vec<(u64, Held)>)> = Vec::new();
        for (number, channel) in &mut connection.channels {
            channel.got = 0;
            settled.push((*number, std::mem::take(&mut channel.unacked).into_iter().collect()));
        }
        for (number, settled) in settled {
            connection.say_verdict(number, settled, Verdict::Ack, true);
        }
    }
}

/// All queues, those with rules last.
fn all(scene: &Scene) -> Vec<u8> {
    let queues = scene.model.queues().map(|queue| queue.number);
    queues.chain(LAWS.iter().map(|law| law.queue)).collect()
}
