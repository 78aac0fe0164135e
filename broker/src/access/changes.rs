//! Operators change users and permissions: at once, in the catalog, and told as events.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use amq_protocol::types::{AMQPValue, FieldArray};

use super::limits::UserLimits;
use super::password::PasswordHash;
use super::record;
use super::{Access, Compiled, Granted, Known, Permission, SetError, State, TopicPermission, User};
use crate::declared::Change;
use crate::events::{Event, INTERNAL_USER};
use crate::mailbox::Mail;
use crate::node::Node;

impl Access {
    /// Adds a user, or replaces one of the same name, who keeps the permissions.
    pub fn put_user(&self, by: &str, node: &Node, user: User) {
        let put = record::put_user(&user);
        let (name, tags, limits) = (user.name.clone(), user.tags.clone(), user.limits);
        let former = self.change(node, |state| {
            let former = match state.users.get_mut(&user.name) {
                Some(known) => Some(std::mem::replace(&mut known.user, Arc::new(user.clone()))),
                None => {
                    state.users.insert(user.name.clone(), Known::new(user.clone()));
                    None
                }
            };
            (former, vec![put])
        });
        node.usage().set_limits(&name, limits);
        let event = |key| Event::new(key).text("name", &name).text(PERFORMER, by);
        match &former {
            None => node.tell(|| event("user.created")),
            Some(former) if former.password == user.password => {}
            Some(_) if user.password.is_none() => node.tell(|| event("user.password.cleared")),
            Some(_) => node.tell(|| event("user.password.changed")),
        }
        let had = former.map(|former| former.tags.clone()).unwrap_or_default();
        if had != tags {
            node.tell(|| event("user.tags.set").with("tags", list(&tags)));
        }
    }

    /// Takes a user away with all permissions; `false` if there is none of that name. The connections
    /// are closed.
    pub fn delete_user(&self, by: &str, node: &Node, name: &str) -> bool {
        let gone = self.change(node, |state| {
            let Some(known) = state.users.remove(name) else { return (false, Vec::new()) };
            let mut changes = vec![record::remove_user(name)];
            for (vhost, granted) in &known.granted {
                changes.extend(granted.removed(name, vhost));
            }
            (true, changes)
        });
        if gone {
            node.usage().set_limits(name, UserLimits::default());
            node.tell(|| Event::new("user.deleted").text("name", name).text(PERFORMER, by));
            node.tell_all(|| Mail::UserGone(name.into()));
        }
        gone
    }

    /// Sets what a user may do in a virtual host.
    ///
    /// # Errors
    /// There is no such user or virtual host, or a pattern is none.
    pub fn set_permission(
        &self,
        by: &str,
        node: &Node,
        permission: Permission,
    ) -> Result<(), SetError> {
        let compiled = Compiled::<Permission, 3>::new(permission.clone())?;
        let put = record::put_permission(&permission);
        self.try_change(node, |state| {
            check_vhost(node, &permission.vhost)?;
            let granted = state.granted(&permission.user, &permission.vhost)?;
            granted.permission = Some(compiled);
            Ok(((), vec![put]))
        })?;
        node.tell(|| {
            Event::new("permission.created")
                .text("user", &permission.user)
                .text("configure", &permission.configure)
                .text("write", &permission.write)
                .text("read", &permission.read)
                .by(&permission.vhost, by)
        });
        Ok(())
    }

    /// Takes away what a user may do in a virtual host; `false` if there was nothing.
    pub fn clear_permission(&self, by: &str, node: &Node, user: &str, vhost: &str) -> bool {
        let cleared = self.change(node, |state| {
            let granted = state.users.get_mut(user).and_then(|known| known.granted.get_mut(vhost));
            let was = granted.is_some_and(|granted| granted.permission.take().is_some());
            (was, was.then(|| record::remove_permission(user, vhost)).into_iter().collect())
        });
        if cleared {
            node.tell(|| Event::new("permission.deleted").text("user", user).by(vhost, by));
        }
        cleared
    }

    /// Sets with which keys a user may use a topic exchange, which need not exist.
    ///
    /// # Errors
    /// As of [`Self::set_permission`].
    pub fn set_topic_permission(
        &self,
        by: &str,
        node: &Node,
        permission: TopicPermission,
    ) -> Result<(), SetError> {
        let compiled = Compiled::<TopicPermission, 2>::new(permission.clone())?;
        let put = record::put_topic_permission(&permission);
        self.try_change(node, |state| {
            check_vhost(node, &permission.vhost)?;
            let granted = state.granted(&permission.user, &permission.vhost)?;
            granted.topics.insert(permission.exchange.clone(), compiled);
            Ok(((), vec![put]))
        })?;
        node.tell(|| {
            Event::new("topic.permission.created")
                .text("user", &permission.user)
                .text("exchange", &permission.exchange)
                .text("write", &permission.write)
                .text("read", &permission.read)
                .by(&permission.vhost, by)
        });
        Ok(())
    }

    /// Lets a user use topic exchanges with any key: one of them, or all. `false` if that was so.
    pub fn clear_topic_permissions(
        &self,
        by: &str,
        node: &Node,
        (user, vhost): (&str, &str),
        exchange: Option<&str>,
    ) -> bool {
        let cleared = self.change(node, |state| {
            let known = state.users.get_mut(user);
            let granted = known.and_then(|known| known.granted.get_mut(vhost));
            let Some(granted) = granted else { return (false, Vec::new()) };
            let gone = |name: &String| exchange.is_none_or(|exchange| exchange == name);
            let gone = granted.topics.extract_if(.., |name, _| gone(name));
            let changes: Vec<_> = gone
                .map(|(exchange, _)| record::remove_topic_permission(user, vhost, &exchange))
                .collect();
            (!changes.is_empty(), changes)
        });
        if cleared {
            node.tell(|| Event::new("topic.permission.deleted").text("user", user).by(vhost, by));
        }
        cleared
    }

    /// A virtual host goes, and with it all permissions in it. Whoever deletes it records these changes,
    /// together with all others.
    pub fn forget_vhost(&self, by: &str, node: &Node, vhost: &str) -> Vec<Change> {
        let gone: Vec<(String, Granted)> = {
            let mut state = self.users.state.write();
            self.users.version.fetch_add(1, Ordering::Release);
            let users = state.users.iter_mut();
            users
                .filter_map(|(name, known)| Some((name.clone(), known.granted.remove(vhost)?)))
                .collect()
        };
        for (user, granted) in &gone {
            if granted.permission.is_some() {
                node.tell(|| Event::new("permission.deleted").text("user", user).by(vhost, by));
            }
            if !granted.topics.is_empty() {
                let deleted = || Event::new("topic.permission.deleted").text("user", user);
                node.tell(|| deleted().by(vhost, by));
            }
        }
        gone.iter().flat_map(|(user, granted)| granted.removed(user, vhost)).collect()
    }

    /// At the first start of all: makes the default user, unless there are users. Later starts leave
    /// things as they are, even without any user.
    ///
    /// # Errors
    /// The patterns that are configured for the default user are none.
    pub fn set_up(&self, node: &Node) -> Result<(), SetError> {
        if self.is_set() {
            return Ok(());
        }
        let config = node.config();
        if self.users().iter().all(|user| config.default_users.contains_key(&user.name)) {
            config.auth.validator.check(&config.default_pass).map_err(SetError::Password)?;
            self.put_user(
                INTERNAL_USER,
                node,
                User {
                    name: config.default_user.clone(),
                    password: Some(PasswordHash::new(
                        config.password_hashing,
                        &config.default_pass,
                    )),
                    tags: config.default_user_tags.clone(),
                    limits: UserLimits::default(),
                },
            );
            let [configure, write, read] = config.default_permissions.clone();
            let (user, vhost) = (config.default_user.clone(), config.default_vhost.clone());
            let permission = Permission { user, vhost, configure, write, read };
            self.set_permission(INTERNAL_USER, node, permission)?;
        }
        self.change(node, |state| {
            state.set = true;
            ((), vec![record::put_ready()])
        });
        Ok(())
    }

    fn change<R>(&self, node: &Node, change: impl FnOnce(&mut State) -> (R, Vec<Change>)) -> R {
        let done = self.try_change(node, |state| Ok::<_, std::convert::Infallible>(change(state)));
        match done {
            Ok(done) => done,
            Err(never) => match never {},
        }
    }

    fn try_change<R, E>(
        &self,
        node: &Node,
        change: impl FnOnce(&mut State) -> Result<(R, Vec<Change>), E>,
    ) -> Result<R, E> {
        let mut state = self.users.state.write();
        let (done, changes) = change(&mut state)?;
        self.users.version.fetch_add(1, Ordering::Release);
        // Under the lock, so that changes are recorded in order.
        node.declared().change(node.store(), changes);
        Ok(done)
    }
}

impl Granted {
    fn removed<'a>(&'a self, user: &'a str, vhost: &'a str) -> impl Iterator<Item = Change> + 'a {
        let permission =
            self.permission.iter().map(move |_| record::remove_permission(user, vhost));
        let topics = self.topics.keys();
        let topics =
            topics.map(move |exchange| record::remove_topic_permission(user, vhost, exchange));
        permission.chain(topics)
    }
}

/// The header that says who has done something.
const PERFORMER: &str = "user_who_performed_action";

fn check_vhost(node: &Node, vhost: &str) -> Result<(), SetError> {
    node.vhost(vhost).map(drop).ok_or_else(|| SetError::NoSuchVhost(vhost.to_owned()))
}

fn list(texts: &[String]) -> AMQPValue {
    let mut array = FieldArray::default();
    for text in texts {
        array.push(AMQPValue::LongString(text.as_str().into()));
    }
    AMQPValue::FieldArray(array)
}
