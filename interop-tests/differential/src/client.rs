//! Requests with their answers as text; a channel that was closed for an error is opened again.

use std::time::{Duration, Instant};

use lepus_tests::*;

use crate::message;

/// The channel for all but transactions. It confirms.
pub const PLAIN: u16 = 1;
/// The channel for transactions.
pub const TX: u16 = 2;

/// The channel that only looks.
const LOOK: u16 = 3;

/// A connection with its channels.
pub struct Client {
    conn: Conn,
}

/// What was answered instead of what was asked for.
pub type Refusal = String;

impl Client {
    /// Connects as guest and opens the channels.
    pub fn connect(address: &str) -> Self {
        let mut client = Self { conn: Conn::login(address, &Login::default()) };
        client.conn.channel(LOOK);
        for id in [PLAIN, TX] {
            client.conn.channel(id);
            client.set_mode(id);
        }
        client
    }

    fn set_mode(&mut self, id: u16) {
        if id == PLAIN {
            self.conn.ch(id).confirm_select();
        } else if id == TX {
            let _: tx::SelectOk = self.conn.call(id, tx::Select {});
        }
    }

    /// Closes a channel and opens it again: what it had not settled goes back.
    pub fn recycle(&mut self, id: u16) {
        self.conn.ch(id).close();
        self.conn.ch(id).reopen();
        self.set_mode(id);
    }

    /// Sends a method that has no answer.
    pub fn send(&mut self, id: u16, method: impl Method) {
        self.conn.send(id, method);
    }

    /// Sends a method and reads its answer.
    pub fn ask<T: Method>(&mut self, id: u16, method: impl Method) -> Result<T, Refusal> {
        self.send(id, method);
        self.answer(id)
    }

    /// Reads the answer to what was sent last.
    pub fn answer<T: Method>(&mut self, id: u16) -> Result<T, Refusal> {
        self.frame(id)?;
        Ok(self.conn.expect(id))
    }

    /// Waits for a frame of a channel, and says whether it begins a delivery.
    pub fn has_delivery(&mut self, id: u16) -> Result<bool, Refusal> {
        Ok(self.frame(id)?.method().and_then(basic::Deliver::find).is_some())
    }

    /// Waits for a frame of a channel, which stays to be read, unless it closes the channel.
    fn frame(&mut self, id: u16) -> Result<Frame, Refusal> {
        let frame = self.conn.next_on(id);
        if let Some(close) = frame.method().and_then(channel::Close::find) {
            self.send(id, channel::CloseOk {});
            self.conn.ch(id).reopen();
            self.set_mode(id);
            return Err(format!("closed {} {}", close.reply_code, close.reply_text));
        }
        self.conn.put_back(frame.clone());
        Ok(frame)
    }

    /// Waits until a channel has done all that it was sent. RabbitMQ's channels do not wait for one
    /// another: another one could ask a queue before this one has returned its messages.
    pub fn sync(&mut self, id: u16) -> Result<(), Refusal> {
        self.ask::<exchange::DeclareOk>(id, look_exchange("amq.direct")).map(drop)
    }

    /// Waits until these queues have stopped changing: dead letters go from queue to queue by themselves.
    pub fn rest(&mut self, queues: &[String]) {
        const PAUSE: Duration = Duration::from_millis(3);
        let deadline = Instant::now() + DEADLINE;
        for id in [PLAIN, TX] {
            let _ = self.sync(id);
        }
        let (mut last, mut same) = (Vec::new(), 0);
        while same < 2 && Instant::now() < deadline {
            let ready: Vec<_> = queues.iter().map(|queue| self.ready(LOOK, queue)).collect();
            same = if ready == last { same + 1 } else { 0 };
            last = ready;
            std::thread::sleep(PAUSE);
        }
    }

    fn ready(&mut self, id: u16, queue: &str) -> Result<u32, Refusal> {
        self.ask(id, look(queue)).map(|ok: queue::DeclareOk| ok.message_count)
    }

    /// Publishes a message and waits for what becomes of it; in a transaction that is nothing yet.
    pub fn publish(
        &mut self,
        id: u16,
        publish: basic::Publish,
        message: &(BasicProperties, Vec<u8>),
    ) -> Result<String, Refusal> {
        self.conn.ch(id).publish_with(publish, &message.0, &message.1);
        if id == TX {
            return Ok("sent".to_owned());
        }
        let mut answer = String::new();
        loop {
            let method = self.frame(id)?.method();
            if method.clone().and_then(basic::Return::find).is_some() {
                let returned = self.conn.ch(id).returned();
                answer = format!("returned {}: ", returned.method.reply_code);
                answer.push_str(&message::contents(&returned));
                answer.push_str(", ");
            } else if method.clone().and_then(basic::Ack::find).is_some() {
                let _: basic::Ack = self.conn.expect(id);
                return Ok(answer + "confirmed");
            } else if method.clone().and_then(basic::Nack::find).is_some() {
                let _: basic::Nack = self.conn.expect(id);
                return Ok(answer + "refused");
            } else {
                return Ok(format!("{answer}{:?}", self.conn.next_on(id).method()));
            }
        }
    }

    /// Gets a message. Returns its tag, and how it came.
    pub fn get(
        &mut self,
        id: u16,
        queue: &str,
        no_ack: bool,
    ) -> Result<Option<(u64, String)>, Refusal> {
        self.send(id, basic::Get { no_ack, ..get(queue) });
        if self.frame(id)?.method().and_then(basic::GetEmpty::find).is_some() {
            self.conn.next_on(id);
            return Ok(None);
        }
        let got: Message<basic::GetOk> = self.conn.ch(id).content();
        let came = format!(
            "{}|{}|redelivered {}|{} left|{}",
            got.method.exchange,
            got.method.routing_key,
            got.method.redelivered,
            got.method.message_count,
            message::contents(&got)
        );
        Ok(Some((got.method.delivery_tag, came)))
    }

    /// Reads a delivery. Returns its tag, and how it came.
    pub fn delivery(&mut self, id: u16) -> Result<(u64, String), Refusal> {
        self.frame(id)?;
        let came = self.conn.ch(id).delivery();
        let text = format!(
            "{}|{}|redelivered {}|{}",
            came.method.exchange,
            came.method.routing_key,
            came.method.redelivered,
            message::contents(&came)
        );
        Ok((came.method.delivery_tag, text))
    }

    /// A queue's ready messages, once they have stopped changing: RabbitMQ lets a declare overtake
    /// earlier work of the queue.
    pub fn count(&mut self, id: u16, queue: &str) -> Result<u32, Refusal> {
        const PAUSE: Duration = Duration::from_millis(10);
        let deadline = Instant::now() + DEADLINE;
        let mut last = None;
        loop {
            let ready = self.ready(id, queue)?;
            if last == Some(ready) || Instant::now() > deadline {
                return Ok(ready);
            }
            last = Some(ready);
            std::thread::sleep(PAUSE);
        }
    }
}
