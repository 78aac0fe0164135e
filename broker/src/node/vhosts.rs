//! The virtual hosts of a broker: they come, change and go.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use amq_protocol::types::{AMQPValue, FieldTable};
use parking_lot::{Mutex, MutexGuard, RwLock};

use super::Node;
use crate::access::Permission;
use crate::config::Config;
use crate::events::{Event, texts};
use crate::names;
use crate::topology::Census;
use crate::topology::record::{self, Record};
use crate::vhost::{Vhost, VhostSpec};

/// The virtual hosts.
pub(super) struct Vhosts {
    all: RwLock<HashMap<String, Arc<Vhost>>>,
    census: Arc<Census>,
    /// Held while virtual hosts, or what belongs to them, change: a change is recorded in the order in
    /// which it takes effect, and nothing is added to what goes. Taken before all other locks.
    changing: Mutex<()>,
}

/// Why a virtual host was not made or deleted, in RabbitMQ's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VhostError {
    /// There is none of that name.
    #[error("Virtual host '{0}' does not exist")]
    Missing(String),
    /// It must not be deleted.
    #[error("Refusing to delete virtual host '{0}' because it is protected from deletion")]
    Protected(String),
    /// There is no such type of queues.
    #[error("Unsupported default queue type '{0}'")]
    QueueType(String),
    /// The broker has all that it may have.
    #[error("cannot create vhost '{0}': vhost limit of {1} is reached")]
    TooMany(String, u32),
    /// connection.open could not name it.
    #[error("{0}")]
    Name(String),
}

impl Vhosts {
    /// The one that every broker begins with.
    pub fn new(config: &Config) -> Self {
        let census = Arc::new(Census::new(config.queue_max));
        let first = VhostSpec::first(&config.default_vhost);
        let first = Arc::new(Vhost::new(first, census.clone()));
        let all = RwLock::new(HashMap::from([(first.name.to_string(), first)]));
        Self { all, census, changing: Mutex::new(()) }
    }

    /// Keeps others from changing virtual hosts and what belongs to them.
    pub fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock()
    }

    /// Lets go of them.
    pub fn dismantle(&self) {
        self.all.write().clear();
    }
}

impl Node {
    /// Finds a virtual host.
    pub fn vhost(&self, name: &str) -> Option<Arc<Vhost>> {
        self.vhosts.all.read().get(name).cloned()
    }

    /// The virtual hosts by name.
    pub fn vhosts(&self) -> Vec<Arc<Vhost>> {
        let mut all: Vec<Arc<Vhost>> = self.vhosts.all.read().values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The ids and the number of queues.
    pub fn census(&self) -> &Census {
        &self.vhosts.census
    }

    /// Makes a virtual host, or has something else be said of the one that there is.
    ///
    /// # Errors
    /// In RabbitMQ's words.
    pub fn create_vhost(self: &Arc<Self>, user: &str, spec: VhostSpec) -> Result<(), VhostError> {
        check(&spec)?;
        let changing = self.vhosts.changing();
        let existing = self.vhost(&spec.name);
        if existing.is_none() {
            self.check_vhosts(&spec.name)?;
        }
        let mut new = None;
        // Before anything is declared there.
        self.declared().change(self.store(), vec![record::put_vhost(&spec)]);
        let key = match existing {
            Some(vhost) => {
                vhost.set_spec(spec.clone());
                "vhost.updated"
            }
            None => {
                let vhost = Arc::new(Vhost::new(spec.clone(), self.vhosts.census.clone()));
                self.vhosts.all.write().insert(spec.name.clone(), vhost.clone());
                vhost.tell_predeclared(user, self);
                new = Some(vhost);
                "vhost.created"
            }
        };
        drop(changing);
        tracing::info!(vhost = spec.name, user, "{key}");
        self.tell(|| event(key, &spec, user));
        if let Some(vhost) = new {
            self.grant_all(user, &spec.name);
            self.give_defaults(&vhost);
        }
        Ok(())
    }

    /// Who has made a virtual host may do anything there, if the user is one of the broker's own.
    fn grant_all(&self, user: &str, vhost: &str) {
        let [configure, write, read] = [".*"; 3].map(str::to_owned);
        let (user, vhost) = (user.to_owned(), vhost.to_owned());
        let all = Permission { user: user.clone(), vhost, configure, write, read };
        // Others are known elsewhere, where it is said what they may do.
        let _ = self.access().set_permission(&user, self, all);
    }

    /// Deletes a virtual host: its connections are closed, and all that it has goes.
    ///
    /// # Errors
    /// In RabbitMQ's words.
    pub fn delete_vhost(self: &Arc<Self>, user: &str, name: &str) -> Result<(), VhostError> {
        let changing = self.vhosts.changing();
        let vhost = self.vhost(name).ok_or_else(|| VhostError::Missing(name.to_owned()))?;
        if vhost.spec().protected {
            return Err(VhostError::Protected(name.to_owned()));
        }
        self.vhosts.all.write().remove(name);
        let (policies, parameters) = (vhost.all_policies(), self.parameters.forget_vhost(name));
        let mut changes = self.access().forget_vhost(user, self, name);
        changes.push(record::remove_vhost(name));
        changes.extend(parameters.iter().map(record::remove_parameter));
        vhost.close(user, self, changes);
        self.stats.gone.add(&vhost.stats.messages.get());
        drop(changing);
        tracing::info!(vhost = name, user, "vhost.deleted");
        self.tell(|| {
            Event::new("vhost.deleted").text("name", name).text("user_who_performed_action", user)
        });
        parameters.iter().for_each(|id| self.tell_parameter_cleared(user, id));
        for (kind, policy) in policies {
            vhost.tell_policy_gone(user, self, kind, &policy.name);
        }
        Ok(())
    }

    fn check_vhosts(&self, name: &str) -> Result<(), VhostError> {
        match self.config().vhost_max {
            Some(max) if self.vhosts.all.read().len() >= max as usize => {
                Err(VhostError::TooMany(name.to_owned(), max))
            }
            _ => Ok(()),
        }
    }

    /// Has the virtual hosts be those of a former life. A data directory without records of any is new,
    /// or of a time when there was only one. `true`: it is new.
    pub(crate) fn restore_vhosts(&self, records: &[Record]) -> bool {
        let recorded = |record: &Record| matches!(record, Record::Vhost { .. });
        let mut specs: BTreeMap<String, VhostSpec> = BTreeMap::new();
        for name in records.iter().filter_map(Record::vhost) {
            specs.entry(name.to_owned()).or_insert_with(|| VhostSpec::first(name));
        }
        let is_new = specs.is_empty();
        if is_new {
            let name = &self.config().default_vhost;
            specs.insert(name.clone(), VhostSpec::first(name));
        }
        if !records.iter().any(recorded) {
            let changes = specs.values().map(record::put_vhost).collect();
            self.declared().change(self.store(), changes);
        }
        for record in records {
            if let Some(spec) = spec(record) {
                specs.insert(spec.name.clone(), spec);
            }
        }
        let vhost = |spec| Arc::new(Vhost::new(spec, self.vhosts.census.clone()));
        let all = specs.into_iter().map(|(name, spec)| (name, vhost(spec))).collect();
        *self.vhosts.all.write() = all;
        is_new
    }
}

fn check(spec: &VhostSpec) -> Result<(), VhostError> {
    names::check("vhost", &spec.name).map_err(VhostError::Name)?;
    match &spec.default_queue_type {
        Some(name) if !["classic", "quorum"].contains(&name.as_str()) => {
            Err(VhostError::QueueType(name.clone()))
        }
        _ => Ok(()),
    }
}

fn spec(record: &Record) -> Option<VhostSpec> {
    let Record::Vhost { vhost, description, tags, default_queue_type, protected, .. } = record
    else {
        return None;
    };
    Some(VhostSpec {
        name: vhost.clone(),
        description: description.clone(),
        tags: tags.clone(),
        default_queue_type: default_queue_type.clone(),
        protected: *protected,
    })
}

fn event(key: &'static str, spec: &VhostSpec, user: &str) -> Event {
    let tags = spec.tags.iter().map(String::as_str);
    let mut state = FieldTable::default();
    state.insert(Node::NAME.into(), AMQPValue::LongString("running".into()));
    let queue_type = spec.default_queue_type.as_deref().unwrap_or("undefined");
    Event::new(key)
        .text("name", &spec.name)
        .text("description", &spec.description)
        .with("tags", texts(tags))
        .text("default_queue_type", queue_type)
        .flag("tracing", false)
        .with("cluster_state", AMQPValue::FieldTable(state))
        .text("user_who_performed_action", user)
}
