//! basic.qos: for each consumer, and for the whole channel, changed while it runs.

use anyhow::{Result, ensure};
use lapin::options::{BasicAckOptions, BasicQosOptions};

use crate::support::{Fixture, consume, fill, nothing_more, take};

const EACH_CONSUMER: BasicQosOptions = BasicQosOptions { global: false };
const CHANNEL: BasicQosOptions = BasicQosOptions { global: true };

/// Two unacked for each consumer, and one more for one ack.
pub async fn per_consumer(f: Fixture) -> Result<()> {
    fill(&f.channel, &f.queue, 10).await?;
    f.channel.basic_qos(2, EACH_CONSUMER).await?;
    let mut first = consume(&f.channel, &f.queue, false).await?;
    let mut second = consume(&f.channel, &f.queue, false).await?;
    let held = take(&mut first, 2).await?;
    take(&mut second, 2).await?;
    nothing_more(&f.channel, &f.queue, &mut first).await?;
    nothing_more(&f.channel, &f.queue, &mut second).await?;
    held[0].ack(BasicAckOptions::default()).await?;
    take(&mut first, 1).await?;
    nothing_more(&f.channel, &f.queue, &mut first).await
}

/// The consumers of the channel share its limit.
pub async fn of_the_channel_is_shared(f: Fixture) -> Result<()> {
    fill(&f.channel, &f.queue, 10).await?;
    f.channel.basic_qos(3, CHANNEL).await?;
    let mut first = consume(&f.channel, &f.queue, false).await?;
    take(&mut first, 3).await?;
    let mut second = consume(&f.channel, &f.queue, false).await?;
    nothing_more(&f.channel, &f.queue, &mut first).await?;
    nothing_more(&f.channel, &f.queue, &mut second).await
}

/// Raised while messages are held unacked, then taken away.
pub async fn of_the_channel_grows_live(f: Fixture) -> Result<()> {
    fill(&f.channel, &f.queue, 10).await?;
    f.channel.basic_qos(2, CHANNEL).await?;
    let mut consumer = consume(&f.channel, &f.queue, false).await?;
    take(&mut consumer, 2).await?;
    nothing_more(&f.channel, &f.queue, &mut consumer).await?;
    f.channel.basic_qos(6, CHANNEL).await?;
    take(&mut consumer, 4).await?;
    nothing_more(&f.channel, &f.queue, &mut consumer).await?;
    f.channel.basic_qos(0, CHANNEL).await?;
    let rest = take(&mut consumer, 4).await?;
    ensure!(rest[3].data == b"m9");
    Ok(())
}
