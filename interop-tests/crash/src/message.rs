//! Messages that can be made again from their id, so that what comes back is compared in full.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable};

use crate::random::Random;

/// Names a message; all else follows from it and the seed of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Publishers are numbered over the whole run.
    pub publisher: u32,
    /// Messages of a publisher ascend.
    pub number: u32,
    /// Octets of the body.
    pub size: u32,
    /// Whether it is to survive.
    pub persistent: bool,
}

impl Id {
    /// What the property message-id says.
    fn text(self) -> String {
        let Self { publisher, number, size, persistent } = self;
        format!("{publisher}.{number}.{size}.{}", if persistent { "p" } else { "t" })
    }

    /// The id of a message that came.
    pub fn of(properties: &BasicProperties) -> Option<Self> {
        let text = properties.message_id().as_ref()?.as_str().to_owned();
        let mut parts = text.split('.');
        let mut number = || parts.next()?.parse().ok();
        let (publisher, at, size) = (number()?, number()?, number()?);
        let persistent = parts.next()? == "p";
        Some(Self { publisher, number: at, size, persistent })
    }

    fn random(self, seed: u64) -> Random {
        Random::new(seed ^ u64::from(self.publisher) << 40 ^ u64::from(self.number))
    }

    /// Its body.
    pub fn body(self, seed: u64) -> Vec<u8> {
        let mut random = self.random(seed);
        let size = self.size as usize;
        let mut body = Vec::with_capacity(size + 8);
        while body.len() < size {
            body.extend_from_slice(&random.any().to_le_bytes());
        }
        body.truncate(size);
        body
    }

    /// Its properties and headers, of many types.
    pub fn properties(self, seed: u64) -> BasicProperties {
        let mut random = self.random(seed.wrapping_add(1));
        let mut headers = FieldTable::default();
        let list = FieldArray::from(vec![AMQPValue::LongInt(-1), AMQPValue::Void]);
        for (name, value) in [
            ("bool", AMQPValue::Boolean(random.below(2) == 0)),
            ("long", AMQPValue::LongLongInt(random.any().cast_signed())),
            ("text", AMQPValue::LongString(format!("{:x}", random.any()).into())),
            ("time", AMQPValue::Timestamp(random.below(1 << 32))),
            ("list", AMQPValue::FieldArray(list)),
        ] {
            if random.below(3) > 0 {
                headers.insert(name.into(), value);
            }
        }
        let properties = BasicProperties::default()
            .with_message_id(self.text().into())
            .with_delivery_mode(if self.persistent { 2 } else { 1 });
        match random.below(4) {
            0 => properties,
            1 => properties.with_headers(headers),
            _ => properties
                .with_headers(headers)
                .with_content_type("application/octet-stream".into())
                .with_correlation_id(format!("c{}", random.below(1000)).into())
                .with_priority(u8::try_from(random.below(10)).unwrap_or(0))
                .with_timestamp(random.below(1 << 40))
                .with_app_id("crash".into()),
        }
    }
}

/// The properties as a message that came back has them: with a header that counts that, as `found` says.
pub fn counted(published: BasicProperties, found: &BasicProperties) -> BasicProperties {
    const NAME: &str = "x-delivery-count";
    let count = found.headers().as_ref().and_then(|found| found.inner().get(NAME));
    let Some(count @ AMQPValue::LongLongInt(1..)) = count else { return published };
    let mut headers = published.headers().clone().unwrap_or_default();
    headers.insert(NAME.into(), count.clone());
    published.with_headers(headers)
}
