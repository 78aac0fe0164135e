//! What files, the environment and flags come to.

mod validator;

use std::collections::BTreeMap;
use std::path::PathBuf;

use tempfile::TempDir;
use tracing::level_filters::LevelFilter;

use super::Config;
use super::auth::{Backend, BackendKind};
use super::keys;
use super::load::{Faults, Loaded, load};
use super::sources::{Sources, variable};
use super::tls::TlsVersion;

/// A directory with files, and what the process is given.
struct Given {
    dir: TempDir,
    sources: Sources,
}

impl Given {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let config = files.first().map(|(name, _)| dir.path().join(name));
        Self { dir, sources: Sources { config, ..Sources::default() } }
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn flag(mut self, flag: &'static str, key: &'static str, value: &str) -> Self {
        self.sources.flags.push((flag, key, value.to_owned()));
        self
    }

    fn loaded(&self) -> Loaded {
        load(&self.sources).unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn config(&self) -> Config {
        self.loaded().config
    }

    /// What is wrong, without the directory's name.
    fn faults(&self) -> Vec<String> {
        let Faults { faults, .. } = load(&self.sources).map(|loaded| loaded.config).unwrap_err();
        self.without_directory(faults)
    }

    fn warnings(&self) -> Vec<String> {
        self.without_directory(self.loaded().notes)
    }

    fn without_directory(&self, lines: Vec<String>) -> Vec<String> {
        let directory = format!("{}/", self.dir.path().display());
        lines.into_iter().map(|line| line.replace(&directory, "")).collect()
    }
}

fn config(text: &str) -> Config {
    Given::new(&[("rabbitmq.conf", text)]).config()
}

#[test]
fn a_file_of_rabbitmqs() {
    let config = config(
        "# comment\n\
         heartbeat = 10 # seconds\n\
         vm_memory_high_watermark.absolute = 64MiB\n\
         max_message_size=1kB\n\
         loopback_users.guest = false\n\
         listeners.tcp.default = 5673\n\
         ssl_options.versions.1 = tlsv1.3\n\
         ssl_options.verify = verify_peer\n\
         ssl_options.sni.*.Example.com.certfile = a.pem\n\
         auth_backends.2 = http\n\
         auth_backends.1.authn = internal\n\
         auth_backends.1.authz = oauth2\n\
         default_user_tags.monitoring = true\n\
         default_policies.operator.a.message_ttl = 1h\n\
         log.connection.level = none\n\
         log.file.level = debug\n",
    );
    assert_eq!((config.heartbeat, config.memory_watermark), (10, 64 << 20));
    assert_eq!(config.max_message_size, 1000);
    assert!(config.loopback_users.is_empty());
    assert_eq!(config.listeners.tcp_addresses(), ["[::]:5673".parse().unwrap()]);
    assert_eq!(config.tls.versions, [TlsVersion::V1_3]);
    assert_eq!(config.tls.verify_peer, Some(true));
    assert_eq!(config.tls.hosts["*.example.com"].certfile, Some("a.pem".into()));
    let backends: Vec<_> = config.auth.backends.into_values().collect();
    let backend = |authn, authz| Backend { authn: Some(authn), authz: Some(authz) };
    let (internal, http) = (BackendKind::Internal, BackendKind::Http);
    assert_eq!(backends, [backend(internal, BackendKind::OAuth2), backend(http, http)]);
    assert_eq!(config.default_user_tags, ["monitoring"]);
    assert_eq!(config.default_policies["a"].definition["message-ttl"], 3_600_000);
    assert_eq!(config.log.categories["connection"], LevelFilter::OFF);
}

#[test]
fn nothing_given_is_the_default() {
    assert_eq!(config(""), Config::default());
    assert_eq!(Given::new(&[]).config(), Config::default());
}

#[test]
fn the_last_line_holds() {
    assert_eq!(config("heartbeat = 1\nheartbeat = 2").heartbeat, 2);
    let both = "disk_free_limit.absolute = 1GB\ndisk_free_limit.relative = 2.0";
    assert_eq!(config(both).disk_free_limit, 1_000_000_000);
    let none = "listeners.tcp = none\nlisteners.tcp.default = 1\nloopback_users = none";
    assert!(config(none).listeners.tcp_addresses().is_empty());
    assert!(config(none).loopback_users.is_empty());
}

#[test]
fn files_of_a_directory_come_in_alphabetical_order() {
    let files = [
        ("rabbitmq.conf", "heartbeat = 1\nchannel_max = 1\nframe_max = 5000\ninclude more/*.conf"),
        ("conf.d/20-b.conf", "heartbeat = 20"),
        ("conf.d/10-a.conf", "heartbeat = 10\nchannel_max = 10"),
        ("conf.d/30-c.txt", "heartbeat = 30"),
        ("more/a.conf", "frame_max = 6000"),
        ("other/a.conf", "heartbeat = 40"),
    ];
    let given = Given::new(&files);
    let config = given.config();
    assert_eq!((config.heartbeat, config.channel_max, config.frame_max), (20, 10, 6000));
    let other = given.dir.path().join("other").display().to_string();
    let config = given.env("RABBITMQ_CONFIG_FILES", &other).config();
    assert_eq!((config.heartbeat, config.channel_max), (40, 1));
}

#[test]
fn flags_go_before_the_environment_and_that_before_files() {
    let text = "listeners.tcp.default = 5673\ndefault_user = a\ndefault_pass = b\n\
                vm_memory_high_watermark.absolute = 1GB";
    let given = Given::new(&[("rabbitmq.conf", text)])
        .env("RABBITMQ_DEFAULT_USER", "c")
        .env("RABBITMQ_DEFAULT_PASS", "")
        .env("RABBITMQ_VM_MEMORY_HIGH_WATERMARK", "20%")
        .env("RABBITMQ_NODE_PORT", "5674")
        .env("LEPUS_STORAGE_ENGINE", "sled");
    let config = given.config();
    assert_eq!((&*config.default_user, config.default_pass.octets()), ("c", &b"b"[..]));
    assert_eq!(config.memory_watermark, super::relative(0.2));
    assert_eq!(config.listeners.tcp_addresses(), ["127.0.0.1:5674".parse().unwrap()]);
    let given = given.flag("--amqp-port", "amqp_port", "0").flag("--bind", "bind", "::1");
    assert_eq!(given.config().listeners.tcp_addresses(), ["[::1]:0".parse().unwrap()]);
    let port = given.loaded().settings.all().map(|(_, given)| given.origin.to_string()).collect();
    let port: Vec<String> = port;
    assert!(port.contains(&"flag --amqp-port".to_owned()), "{port:?}");
    assert!(port.contains(&"environment RABBITMQ_DEFAULT_USER".to_owned()), "{port:?}");
}

#[test]
fn secrets_may_be_in_files_of_their_own() {
    let given = Given::new(&[("empty.conf", ""), ("pass", "from a file\n")]);
    let path = given.dir.path().join("pass").display().to_string();
    let given = given.env("RABBITMQ_DEFAULT_PASS_FILE", &path).env("RABBITMQ_DEFAULT_PASS", "b");
    assert_eq!(given.config().default_pass.octets(), b"from a file");
    let given = given.env("RABBITMQ_DEFAULT_PASS_FILE", "/nowhere");
    assert!(given.faults()[0].contains("RABBITMQ_DEFAULT_PASS_FILE: /nowhere cannot be read"));
    let given = given.env("RABBITMQ_DEFAULT_PASS_FILE", "/dev/null");
    assert_eq!(given.faults()[0], "environment RABBITMQ_DEFAULT_PASS_FILE: /dev/null is empty");
}

#[test]
fn values_may_name_other_keys_and_variables() {
    let text = "cluster_name = $(default_user)-$(PLACE)\ndefault_user = $( OTHER )$(";
    let given = Given::new(&[("a.conf", text)]).env("PLACE", "b").env("OTHER", "c");
    assert_eq!(given.config().cluster_name.unwrap(), "c$(-b");
    let given =
        Given::new(&[("a.conf", "default_user = $(default_pass)\ndefault_pass = $(default_user)")]);
    assert!(given.faults()[0].contains("round in circles"), "{:?}", given.faults());
    let given = Given::new(&[("a.conf", "default_user = $(nobody)")]);
    assert_eq!(
        given.faults(),
        ["a.conf:1: default_user: $(nobody) is neither a key nor in the environment"]
    );
}

#[test]
fn all_faults_are_told_at_once_with_file_line_key_and_what_is_allowed() {
    let given = Given::new(&[
        ("a.conf", "heartbeat = soon\nframe_max = 100\nno value\n\ndefault_pass = encrypted:x"),
        ("conf.d/b.conf", "storage.engine = mnesia\nlog.file.rotation.date = never"),
    ])
    .env("LEPUS_AMQP_PORT", "70000");
    assert_eq!(
        given.faults(),
        [
            "a.conf:3: a line must be `key = value`",
            "environment LEPUS_AMQP_PORT: amqp_port = 70000: allowed is a whole number from 0 to 65535",
            "a.conf:1: heartbeat = soon: allowed is a whole number from 0 to 65535",
            "a.conf:2: frame_max = 100: allowed is `0` or octets, with a unit (`kB`, `MiB`, `GB`, …) or \
             without, from 4096 to 16777216",
            "conf.d/b.conf:1: storage.engine = mnesia: allowed is `log` or `sled`",
            "a.conf:5: default_pass: encrypted values cannot be read: write it as it is, or take it \
             from the environment with $(NAME)",
            "conf.d/b.conf:2: log.file.rotation.date = never: allowed is ``, `$H0`, `$H00`, `$D0` or `$D00`",
        ]
    );
    let missing = Sources { config: Some(PathBuf::from("/nowhere/a.conf")), ..Sources::default() };
    let faults = load(&missing).map(|_| ()).unwrap_err().to_string();
    assert!(faults.starts_with("/nowhere/a.conf: cannot be read"), "{faults}");
}

#[test]
fn unknown_keys_are_told_with_the_nearest_one() {
    let text = "heartbeet = 1\nlisteners.tpc.default = 1\nmqtt.vhost = /\nwhatever = 2\namqp_port = 1\n\
         vm_memory_high_watermark = 0.5";
    let warnings = Given::new(&[("a.conf", text)]).warnings();
    assert_eq!(
        warnings,
        [
            "a.conf:1: `heartbeet` is not a key, is `heartbeat` meant?",
            "a.conf:2: `listeners.tpc.default` is not a key, is `listeners.tcp.$name` meant?",
            "a.conf:3: `mqtt.vhost` is ignored: this protocol is not spoken here",
            "a.conf:4: `whatever` is not a key",
            "a.conf:5: `amqp_port` is not a key",
            "a.conf:6: `vm_memory_high_watermark` is not a key, is `vm_memory_high_watermark.relative` meant?",
        ]
    );
}

#[test]
fn files_that_include_each_other_end() {
    let given = Given::new(&[("a.conf", "include b.conf"), ("b.conf", "\ninclude a.conf")]);
    assert_eq!(given.faults(), ["b.conf:2: a.conf includes itself"]);
    let given = Given::new(&[("a.conf", "include a.conf\nheartbeat = 1\ninclude *.conf")]);
    assert_eq!(
        given.faults(),
        ["a.conf:1: a.conf includes itself", "a.conf:3: *.conf includes itself"]
    );
}

#[test]
fn defaults_are_what_the_table_says() {
    let singles = keys::all().iter().filter(|key| key.is_single() && !key.outside);
    for key in singles.filter(|key| !key.default.is_empty() && key.pattern != "cluster_name") {
        let mut config = Config::default();
        let words: Vec<String> = key.pattern.split('.').map(str::to_owned).collect();
        assert!(key.apply(&mut config, &words, key.default), "{}", key.pattern);
        assert_eq!(config, Config::default(), "{}", key.pattern);
    }
}

#[test]
fn each_key_is_found_by_its_pattern() {
    for (place, key) in keys::all().iter().enumerate() {
        let pattern = key.pattern.replace("$n.", "1.").replace("$$host", "a.b").replace("**", "x");
        let words: Vec<String> = pattern.split('.').map(|word| word.replace("$n", "1")).collect();
        let found = keys::find(&words);
        let found = found.map(|place| &*keys::all()[place].pattern);
        assert_eq!(found, Some(&*key.pattern), "{place}");
        assert!(!key.is_ignored() || key.default.is_empty());
    }
}

#[test]
fn rabbitmqs_variable_for_levels() {
    let environment =
        BTreeMap::from([("RABBITMQ_LOG".to_owned(), "debug,connection.none,+color".to_owned())]);
    let config = load(&Sources { environment, ..Sources::default() }).unwrap().config;
    assert_eq!(config.log.level, LevelFilter::DEBUG);
    assert_eq!(config.log.categories["connection"], LevelFilter::OFF);
}

/// What docs/configuration.md must have after its mark.
fn documentation() -> String {
    let mut text =
        String::from("| key | allowed | default | live | meaning |\n|---|---|---|---|---|\n");
    for key in keys::all().iter().filter(|key| !key.is_ignored()) {
        let flag = || format!("`--{}`", key.pattern.replace('_', "-"));
        let name = match variable(key) {
            Some(variable) if !key.outside => format!("`{}`, {variable}", key.pattern),
            Some(variable) if FLAGS.contains(&&*key.pattern) => format!("{}, {variable}", flag()),
            Some(variable) => variable,
            None => format!("`{}`", key.pattern),
        };
        let default = match key.default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        let live = if key.live { "yes" } else { "" };
        text += &format!("| {name} | {} | {default} | {live} | {} |\n", key.allowed, key.means);
    }
    text += "\n| ignored | because |\n|---|---|\n";
    for key in keys::all().iter().filter(|key| key.is_ignored()) {
        text += &format!("| `{}` | {} |\n", key.pattern, key.means);
    }
    text
}

const FLAGS: &[&str] =
    &["bind", "amqp_port", "amqps_port", "http_port", "metrics_port", "data_dir", "log_level"];

#[test]
fn the_documentation_has_all_keys() {
    const MARK: &str =
        "<!-- what follows is made of the table of keys: LEPUS_WRITE_DOCS=1 writes it -->\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, after) = text.split_once(MARK).unwrap();
    if std::env::var_os("LEPUS_WRITE_DOCS").is_some() {
        std::fs::write(path, format!("{before}{MARK}{}", documentation())).unwrap();
        return;
    }
    assert_eq!(after, documentation(), "run this test with LEPUS_WRITE_DOCS=1");
}
