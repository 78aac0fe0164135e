//! Publishing: routing, confirms, returns, transactions, properties and sizes.

use anyhow::{Context, Result, ensure};
use lapin::{
    BasicProperties, Confirmation, ExchangeKind,
    options::{
        BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions,
        ExchangeBindOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
    },
    types::{AMQPValue, DecimalValue, FieldArray, FieldTable},
};

use crate::support::{Fixture, consume, get, ready, send, take, unique};

/// The default exchange routes by queue name; get reports what is left.
pub async fn default_exchange_and_get(f: Fixture) -> Result<()> {
    ensure!(
        f.channel.basic_get(f.queue.as_str().into(), BasicGetOptions::default()).await?.is_none()
    );
    send(&f.channel, &f.queue, b"hello", BasicProperties::default()).await?;
    let message = get(&f.channel, &f.queue).await?;
    ensure!(message.data == b"hello" && message.message_count == 0 && !message.redelivered);
    ensure!(message.exchange.as_str().is_empty() && message.routing_key.as_str() == f.queue);
    Ok(())
}

/// Every message in a window of outstanding confirms is acknowledged.
pub async fn confirms(f: Fixture) -> Result<()> {
    f.channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut outstanding = Vec::new();
    for number in 0..500 {
        let body = format!("{number}");
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default();
        let confirm = f.channel.basic_publish(
            "".into(),
            f.queue.as_str().into(),
            options,
            body.as_bytes(),
            properties,
        );
        outstanding.push(confirm.await?);
    }
    for confirm in outstanding {
        ensure!(confirm.await? == Confirmation::Ack(None));
    }
    ensure!(ready(&f.channel, &f.queue).await? == 500);
    Ok(())
}

/// basic.return comes before the confirm of the same message.
pub async fn mandatory_is_returned_with_its_confirm(f: Fixture) -> Result<()> {
    f.channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let key = unique("nobody");
    let properties = BasicProperties::default();
    let confirm =
        f.channel.basic_publish("".into(), key.as_str().into(), options, b"back", properties);
    let confirmation = confirm.await?.await?;
    ensure!(confirmation.is_ack(), "{confirmation:?}");
    let returned = confirmation.take_message().context("no returned message")?;
    ensure!(returned.reply_code == 312 && returned.reply_text.as_str() == "NO_ROUTE");
    ensure!(returned.delivery.data == b"back" && returned.delivery.routing_key.as_str() == key);
    Ok(())
}

/// Published and acknowledged in one transaction, or not at all.
pub async fn transaction(f: Fixture) -> Result<()> {
    let writer = f.connection.create_channel().await?;
    writer.tx_select().await?;
    send(&writer, &f.queue, b"rolled back", BasicProperties::default()).await?;
    writer.tx_rollback().await?;
    send(&writer, &f.queue, b"committed", BasicProperties::default()).await?;
    ensure!(ready(&f.channel, &f.queue).await? == 0);
    writer.tx_commit().await?;
    ensure!(get(&f.channel, &f.queue).await?.data == b"committed");
    ensure!(ready(&f.channel, &f.queue).await? == 0);
    Ok(())
}

/// Through a topic exchange bound to a fanout exchange bound to the queue.
pub async fn topic_exchange_and_exchange_binding(f: Fixture) -> Result<()> {
    let (source, destination) = (unique("source"), unique("destination"));
    let none = FieldTable::default;
    let auto_delete =
        ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
    let plain = ExchangeDeclareOptions::default();
    f.channel
        .exchange_declare(source.as_str().into(), ExchangeKind::Topic, auto_delete, none())
        .await?;
    f.channel
        .exchange_declare(destination.as_str().into(), ExchangeKind::Fanout, plain, none())
        .await?;
    let (to, from) = (destination.as_str(), source.as_str());
    let bind = ExchangeBindOptions::default();
    f.channel.exchange_bind(to.into(), from.into(), "order.#".into(), bind, none()).await?;
    let bind = QueueBindOptions::default();
    f.channel.queue_bind(f.queue.as_str().into(), to.into(), "".into(), bind, none()).await?;
    for key in ["invoice.paid", "order.paid.now"] {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        f.channel
            .basic_publish(from.into(), key.into(), options, key.as_bytes(), properties)
            .await?;
    }
    ensure!(get(&f.channel, &f.queue).await?.data == b"order.paid.now");
    ensure!(ready(&f.channel, &f.queue).await? == 0);
    f.channel.exchange_delete(to.into(), ExchangeDeleteOptions::default()).await?;
    Ok(())
}

/// 1 MiB in which every misplaced or missing chunk shows.
pub async fn large_message(f: Fixture) -> Result<()> {
    let body: Vec<u8> = (0u64..1024 * 1024 / 8).flat_map(u64::to_be_bytes).collect();
    let mut consumer = consume(&f.channel, &f.queue, false).await?;
    send(&f.channel, &f.queue, &body, BasicProperties::default()).await?;
    let received = take(&mut consumer, 1).await?;
    ensure!(received[0].data == body, "the body came back changed");
    received[0].ack(BasicAckOptions::default()).await?;
    Ok(())
}

fn all_types() -> FieldTable {
    let mut inner = FieldTable::default();
    inner.insert("deep".into(), AMQPValue::LongString("er".into()));
    let array = vec![AMQPValue::LongInt(1), AMQPValue::Void, AMQPValue::FieldTable(inner.clone())];
    let mut headers = FieldTable::default();
    for (name, value) in [
        ("boolean", AMQPValue::Boolean(true)),
        ("i8", AMQPValue::ShortShortInt(-7)),
        ("u8", AMQPValue::ShortShortUInt(200)),
        ("i16", AMQPValue::ShortInt(-3000)),
        ("u16", AMQPValue::ShortUInt(60_000)),
        ("i32", AMQPValue::LongInt(-70_000)),
        ("u32", AMQPValue::LongUInt(4_000_000_000)),
        ("i64", AMQPValue::LongLongInt(-(1 << 40))),
        ("f32", AMQPValue::Float(1.5)),
        ("f64", AMQPValue::Double(3.25)),
        ("decimal", AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 314 })),
        ("string", AMQPValue::LongString("räksmörgås".into())),
        ("array", AMQPValue::FieldArray(FieldArray::from(array))),
        ("timestamp", AMQPValue::Timestamp(1_709_209_845)),
        ("table", AMQPValue::FieldTable(inner)),
        ("bytes", AMQPValue::ByteArray(vec![0, 255].into())),
        ("void", AMQPValue::Void),
    ] {
        headers.insert(name.into(), value);
    }
    headers
}

/// Each field type comes back as the same type.
pub async fn headers_of_all_types(f: Fixture) -> Result<()> {
    let headers = all_types();
    send(&f.channel, &f.queue, b"x", BasicProperties::default().with_headers(headers.clone()))
        .await?;
    let message = get(&f.channel, &f.queue).await?;
    let received = message.properties.headers().as_ref().context("no headers")?;
    ensure!(*received == headers, "sent {headers:?}, received {received:?}");
    Ok(())
}

/// All fourteen properties.
pub async fn every_property(f: Fixture) -> Result<()> {
    let sent = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_headers(FieldTable::default())
        .with_delivery_mode(2)
        .with_priority(5)
        .with_correlation_id("c-1".into())
        .with_reply_to("r-1".into())
        .with_expiration("600000".into())
        .with_message_id("m-1".into())
        .with_timestamp(1_700_000_000)
        .with_type("t-1".into())
        .with_user_id("guest".into())
        .with_app_id("a-1".into())
        .with_cluster_id("cl-1".into());
    send(&f.channel, &f.queue, b"x", sent.clone()).await?;
    let received = get(&f.channel, &f.queue).await?;
    ensure!(received.properties == sent, "sent {sent:?}, received {:?}", received.properties);
    Ok(())
}
