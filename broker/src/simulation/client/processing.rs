//! What becomes of what the broker has taken in.

use lepus_protocol::method::Verdict;

use super::super::ledger::queue_of;
use super::super::letter::Letter;
use super::super::model::{Fate, Held, LOSSY, Model, Window, is_durable};
use super::super::scene::{Scene, Span};
use super::{Channel, Connection, Consumer, Mode, Sent, Tx, Unconfirmed};

impl Connection {
    /// The broker has carried something out. Returns the transaction that it was.
    pub(super) fn processed(&mut self, sent: Sent, span: &Span, scene: &mut Scene) -> Option<u64> {
        tracing::trace!(connection = self.id, "{sent:?} at {:?}, {:?}", span.lsn, span.version);
        let Self { id, channels, settled, .. } = self;
        let number = sent.channel();
        if let Sent::End = sent {
            self.end(&mut scene.model);
            return None;
        }
        let channel = channels.get_mut(&number)?;
        if channel.closed {
            return None;
        }
        let model = &mut scene.model;
        match sent {
            Sent::Publish(_, letter) => channel.published(letter, settled, span, scene),
            Sent::Verdict(_, tags, verdict) => channel.settled(tags, verdict, settled, span, model),
            Sent::Commit(_) => return channel.committed(span, scene),
            Sent::Rollback(_) => {
                for (tag, held, _) in std::mem::take(&mut channel.tx).verdicts {
                    channel.unacked.insert(tag, held);
                }
            }
            Sent::Select(_, mode) => channel.mode = mode,
            Sent::Close(_) => {
                model.release(*id, Some(number));
                channel.end(model);
            }
            Sent::Recover(_) => {
                let held: Vec<Held> = std::mem::take(&mut channel.unacked).into_values().collect();
                model.requeue(&held);
                channel.recovering = true;
            }
            Sent::Qos(_, prefetch) => channel.prefetch = prefetch,
            Sent::Consume(_, queue, tag) => match model.alive(queue) {
                None => channel.refused(*id, number, model),
                Some(incarnation) => {
                    model.consume(queue);
                    let no_ack = queue == LOSSY;
                    let prefetch = if no_ack { 0 } else { channel.prefetch };
                    let consumer =
                        Consumer { incarnation, no_ack, prefetch, last: [0; 2], ended: false };
                    channel.consumers.insert(tag, consumer);
                }
            },
            Sent::Cancel(_, tag) => {
                if let Some(consumer) = channel.consumers.get_mut(&tag)
                    && !std::mem::replace(&mut consumer.ended, true)
                {
                    model.end_consumer(consumer.incarnation);
                }
            }
            Sent::Get(_, queue) if model.alive(queue).is_some() => {
                channel.asked = Some(queue);
                model.ask(queue);
            }
            Sent::Get(..) => channel.refused(*id, number, model),
            Sent::Open(_) | Sent::End => {}
            sent => self.topology(sent, span, scene),
        }
        None
    }

    fn topology(&mut self, sent: Sent, span: &Span, scene: &mut Scene) {
        let (number, version, failed) = (sent.channel(), span.version, scene.failed());
        let troubled = scene.troubled;
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let model = &mut scene.model;
        let found = match sent {
            Sent::Exchange(_, exchange) => {
                model.declare_exchange(exchange, version);
                true
            }
            Sent::Declare(_, queue) => {
                model.declare(queue, version);
                let id = scene.broker.queue(queue).map(|queue| queue.record.id.0);
                model.identify(queue, id.expect("a queue that was declared"));
                channel.expected = expected(model, queue, troubled);
                true
            }
            Sent::Passive(_, queue) => {
                channel.expected = expected(model, queue, troubled);
                model.queue(queue).is_some()
            }
            Sent::Delete(_, queue) => {
                // A store that has failed goes on having what it has.
                let lsn = if failed { Window::NEVER } else { span.lsn };
                model.delete(queue, version, lsn);
                true
            }
            Sent::Purge(_, queue) => {
                model.purge(queue);
                model.queue(queue).is_some()
            }
            Sent::Bind(_, exchange, key, queue) => model.bind(exchange, key, queue, version),
            Sent::Unbind(_, exchange, key, queue) => {
                model.unbind(exchange, key, queue, version);
                true
            }
            other => panic!("{other:?} is not about topology"),
        };
        if !found {
            channel.refused(self.id, number, model);
        }
    }
}

/// What queue.declare-ok may say of ready messages.
/// How many messages a declaration may find. With trouble on the disk some that came just before it may have
/// been refused, which the model learns later.
fn expected(model: &Model, queue: u8, troubled: bool) -> Option<(usize, usize)> {
    let queue = model.queue(queue)?;
    let (least, most) = queue.bounds();
    let least = if queue.is_untouched() && !troubled { least } else { 0 };
    Some((least, most - queue.held()))
}

impl Channel {
    /// The broker is about to close it.
    fn refused(&mut self, connection: u64, number: u16, model: &mut Model) {
        model.release(connection, Some(number));
        self.end(model);
        self.waiting = Some((20, 40));
    }

    fn published(
        &mut self,
        letter: Letter,
        settled: &mut Vec<Held>,
        span: &Span,
        scene: &mut Scene,
    ) {
        let fate = scene.model.fate(&letter, span.takes);
        match (&fate, self.mode) {
            (Fate::Rejected, Mode::Tx) => self.tx.refused = true,
            (Fate::Routed(to), Mode::Tx) => self.tx.publishes.push((letter, to.clone())),
            (Fate::Unrouted, Mode::Tx) if letter.mandatory => self.tx.returns.push(letter.id),
            (Fate::Routed(to), _) => scene.model.publish(letter, to, span.lsn, None),
            (Fate::Unrouted, _) if letter.mandatory => self.returns.push_back(letter.id),
            _ => {}
        }
        if self.mode == Mode::Confirms {
            self.published += 1;
            settled.retain(|held| !scene.model.is_settled(*held, scene.broker.store.safe()));
            let settled = settled.clone();
            let unconfirmed = Unconfirmed { letter, fate, settled };
            self.unconfirmed.insert(self.published, unconfirmed);
        }
    }

    fn settled(
        &mut self,
        tags: Vec<(u64, Held)>,
        verdict: Verdict,
        settled: &mut Vec<Held>,
        span: &Span,
        model: &mut Model,
    ) {
        let requeue = verdict == Verdict::Requeue;
        if self.mode == Mode::Tx {
            let held = tags.into_iter().map(|(tag, held)| (tag, held, verdict));
            return self.tx.verdicts.extend(held);
        }
        let held: Vec<Held> = tags.into_iter().map(|(_, held)| held).collect();
        if requeue {
            model.requeue(&held);
        } else {
            model.ledger.say(&held, verdict == Verdict::Ack);
            model.settle(&held, span.lsn, None);
            settled.extend(held);
        }
    }

    fn committed(&mut self, span: &Span, scene: &mut Scene) -> Option<u64> {
        let Tx { publishes, verdicts, returns, refused, .. } = std::mem::take(&mut self.tx);
        let model = &mut scene.model;
        if refused {
            // All that it holds returns with the connection.
            return None;
        }
        let tx = model.transaction();
        for (letter, to) in publishes {
            model.publish(letter, &to, span.lsn, Some(tx));
            self.tx.committed.0.extend(to);
        }
        let (requeued, settled): (Vec<_>, Vec<_>) =
            verdicts.into_iter().partition(|(_, _, verdict)| verdict.returns());
        for (_, held, verdict) in &settled {
            model.ledger.say(&[*held], *verdict == Verdict::Ack);
        }
        let held =
            |of: Vec<(u64, Held, Verdict)>| of.into_iter().map(|(_, held, _)| held).collect();
        let (requeued, settled): (Vec<Held>, Vec<Held>) = (held(requeued), held(settled));
        model.requeue(&requeued);
        model.settle(&settled, span.lsn, Some(tx));
        self.tx.committed.1.extend(settled);
        self.returns.extend(returns);
        Some(tx)
    }

    /// Whether some queue must have stored a message before its confirm.
    pub(super) fn stored(unconfirmed: &Unconfirmed, model: &Model) -> Vec<Held> {
        let durable = |held: &Held| {
            queue_of(held.incarnation).is_some()
                || model
                    .queues()
                    .any(|of| of.incarnation == held.incarnation && is_durable(of.number))
        };
        match &unconfirmed.fate {
            Fate::Routed(to) if unconfirmed.letter.persistent => {
                to.iter().copied().filter(durable).collect()
            }
            _ => Vec::new(),
        }
    }
}
