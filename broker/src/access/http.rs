//! Others say by HTTP who somebody is and what that one may do, as RabbitMQ's plugin
//! rabbitmq_auth_backend_http asks them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;

use super::backend::{Backend, Login};
use super::remembered::Remembered;
use super::web;
use super::{Answer, Attempt, Authority, Kind, Refused, Resource, Topic};
use crate::aside::blocking;
use crate::clock::now_ms;
use crate::config::auth::{AuthCache, AuthHttp};

/// Octets of an answer that are read.
const ANSWER_MAX: u64 = 64 * 1024;

/// The name in error texts.
const NAME: &str = "rabbit_auth_backend_http";

/// The services that are asked.
pub struct Http {
    settings: AuthHttp,
    /// Or why there is none.
    agent: Result<Agent, String>,
    cache: Option<(Remembered<String>, AuthCache)>,
}

impl Http {
    /// Services as they are configured; with a cache, their answers are remembered.
    pub fn new(settings: &AuthHttp, cache: Option<&AuthCache>) -> Self {
        let AuthHttp { request_timeout, connection_timeout, tls, .. } = settings;
        let agent = web::agent(*connection_timeout, *request_timeout, tls);
        Self {
            settings: settings.clone(),
            agent: agent.map_err(|error| format!("auth_http.ssl_options: {error:#}")),
            cache: cache.map(|cache| (Remembered::new(), cache.clone())),
        }
    }

    /// The answer to a question, in lower case.
    fn ask(&self, url: &str, fields: &[(&str, &str)]) -> Result<String, String> {
        let parts = fields.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let question: Vec<&[u8]> = std::iter::once(url.as_bytes()).chain(parts).collect();
        let known = |(cache, _): &(Remembered<String>, _)| cache.get(&question, now_ms());
        if let Some(known) = self.cache.as_ref().and_then(known) {
            return Ok(known);
        }
        let answer = blocking(|| self.request(url, fields))?;
        if let Some((cache, AuthCache { ttl, refusals, .. })) = &self.cache
            && (answer.starts_with("allow") || answer == "deny" && *refusals)
        {
            cache.put(&question, answer.clone(), now_ms() + millis(*ttl));
        }
        Ok(answer)
    }

    fn request(&self, url: &str, fields: &[(&str, &str)]) -> Result<String, String> {
        let fields = fields.iter().copied();
        let agent = self.agent.as_ref().map_err(Clone::clone)?;
        let response = match self.settings.post {
            true => agent.post(url).send_form(fields),
            false => agent.get(url).query_pairs(fields).call(),
        };
        // The URL of a request has the password in it: it is not shown.
        let mut response = response.map_err(|error| match error {
            ureq::Error::BadUri(_) => "a bad URL".to_owned(),
            error => error.to_string(),
        })?;
        let body = response.body_mut().with_config().limit(ANSWER_MAX).read_to_string();
        let body = body.map_err(|error| error.to_string())?;
        match response.status().as_u16() {
            200 | 201 => Ok(body.trim().to_lowercase()),
            code => Err(format!("{{{code},{body:?}}}")),
        }
    }
}

impl Backend for Arc<Http> {
    fn log_in(&self, attempt: &Attempt, _proven: bool) -> Result<Login, Refused> {
        let password = attempt.password.as_ref();
        let password = password.map(|password| String::from_utf8_lossy(password.octets()));
        let mut fields = vec![("username", attempt.user.as_str())];
        fields.extend(password.as_deref().map(|password| ("password", password)));
        let failed = |why| Refused(format!("{NAME} failed authenticating {}: {why}", attempt.user));
        let answer = self.ask(&self.settings.user_path, &fields).map_err(failed)?;
        let Some(tags) = answer.strip_prefix("allow") else {
            return Err(match answer.as_str() {
                "deny" => Refused("Denied by the backing HTTP service".to_owned()),
                other => failed(format!("{{bad_response,{other:?}}}")),
            });
        };
        let tags: Vec<String> = tags.split_whitespace().map(str::to_owned).collect();
        let user = attempt.user.clone();
        let authority = HttpUser { http: self.clone(), user: user.clone(), tags: tags.join(" ") };
        Ok(Login { user, tags, authority: Arc::new(authority), expires: None })
    }

    fn is_slow(&self, _attempt: &Attempt) -> bool {
        true
    }
}

/// Asks for one user.
struct HttpUser {
    http: Arc<Http>,
    user: String,
    tags: String,
}

impl HttpUser {
    fn ask(&self, url: &str, fields: &[(&str, &str)]) -> Answer {
        let all = [&[("username", self.user.as_str())], fields].concat();
        match self.http.ask(url, &all) {
            Ok(answer) if answer == "allow" => Answer::Allow,
            Ok(answer) if answer == "deny" => Answer::Deny,
            Ok(answer) => Answer::Error(NAME, format!("{{bad_response,{answer:?}}}")),
            Err(why) => Answer::Error(NAME, why),
        }
    }
}

impl Authority for HttpUser {
    fn vhost(&self, vhost: &str, from: IpAddr) -> Answer {
        let from = from.to_canonical().to_string();
        let fields = [("vhost", vhost), ("ip", &from), ("tags", &self.tags)];
        self.ask(&self.http.settings.vhost_path, &fields)
    }

    fn resource(&self, vhost: &str, resource: Resource<'_>, kind: Kind) -> Answer {
        let fields = [
            ("vhost", vhost),
            ("resource", resource.kind()),
            ("name", resource.name()),
            ("permission", kind.name()),
            ("tags", &self.tags),
        ];
        self.ask(&self.http.settings.resource_path, &fields)
    }

    fn topic(&self, vhost: &str, topic: Topic<'_>, kind: Kind) -> Answer {
        let fields = [
            ("vhost", vhost),
            ("resource", "topic"),
            ("name", topic.exchange),
            ("permission", kind.name()),
            ("tags", &self.tags),
            ("routing_key", topic.key),
            ("variable_map.username", &self.user),
            ("variable_map.vhost", vhost),
        ];
        self.ask(&self.http.settings.topic_path, &fields)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
