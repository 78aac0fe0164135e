//! What answers have, for the document of the API. Tests compare it with answers
//! (tests/tests/management/document.rs).

use utoipa::openapi::schema::{
    AnyOfBuilder, Array, Object, ObjectBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{ComponentsBuilder, Ref, RefOr};

/// What an answer is: an object of a kind of [`KINDS`], or a list of them, whole or a page of it.
#[derive(Clone, Copy)]
pub(super) enum Told {
    One(&'static str),
    List(&'static str),
}

/// What a field's value is.
#[derive(Clone, Copy)]
enum Is {
    Text,
    Whole,
    Number,
    Flag,
    Object,
    List,
    Anything,
}
use Is::{Anything, Flag, List, Number, Text, Whole};

/// A kind of objects, and the names of their fields by what they are. One with a `?` may be null; to one
/// with a `+` belongs one more, `_details`, with its rate. No field is always there: `columns` choose among
/// them.
type Kind = (&'static str, &'static [(Is, &'static str)]);

const KINDS: &[Kind] = &[
    (
        "Overview",
        &[
            (Text, "management_version rabbitmq_version product_name product_version"),
            (Text, "erlang_version erlang_full_version release_series_support_status rates_mode"),
            (Text, "cluster_name default_queue_type node"),
            (Flag, "disable_stats enable_queue_totals is_op_policy_updating_enabled"),
            (Whole, "statistics_db_event_queue"),
            (Is::Object, "sample_retention_policies cluster_tags node_tags message_stats"),
            (Is::Object, "churn_rates queue_totals object_totals"),
            (List, "exchange_types listeners contexts"),
        ],
    ),
    (
        "Node",
        &[
            (Text, "name type rabbitmq_version os_pid rates_mode mem_calculation_strategy db_dir?"),
            (Flag, "running being_drained mem_alarm disk_free_alarm"),
            (Whole, "uptime processors run_queue net_ticktime mem_limit disk_free_limit"),
            (Whole, "mem_used?+ disk_free?+ fd_used+ fd_total? sockets_used+ sockets_total"),
            (Whole, "proc_used+ proc_total channel_closed+ channel_created+ connection_closed+"),
            (Whole, "connection_created+ queue_created+ queue_declared+ queue_deleted+"),
            (Whole, "context_switches+ gc_bytes_reclaimed+ gc_num+"),
            (Whole, "io_file_handle_open_attempt_count+ io_read_bytes+ io_read_count+"),
            (Whole, "io_reopen_count+ io_seek_count+ io_sync_count+ io_write_bytes+"),
            (Whole, "io_write_count+ mnesia_disk_tx_count+ mnesia_ram_tx_count+"),
            (Whole, "msg_store_read_count+ msg_store_write_count+ queue_index_read_count+"),
            (Whole, "queue_index_write_count+"),
            (Number, "io_file_handle_open_attempt_avg_time+ io_read_avg_time+ io_seek_avg_time+"),
            (Number, "io_sync_avg_time+ io_write_avg_time+"),
            (List, "partitions cluster_links log_files config_files enabled_plugins"),
            (List, "applications exchange_types auth_mechanisms contexts"),
        ],
    ),
    (
        "Queue",
        &[
            (Text, "name vhost type node state policy? operator_policy? idle_since? leader"),
            (Text, "single_active_consumer_tag? exclusive_consumer_tag?"),
            (Flag, "durable auto_delete exclusive"),
            (Whole, "messages+ messages_ready+ messages_unacknowledged+ messages_ram"),
            (Whole, "messages_ready_ram messages_unacknowledged_ram messages_paged_out"),
            (Whole, "messages_persistent message_bytes message_bytes_ready"),
            (Whole, "message_bytes_unacknowledged message_bytes_ram message_bytes_paged_out"),
            (Whole, "message_bytes_persistent consumers memory head_message_timestamp?"),
            (Number, "consumer_capacity consumer_utilisation"),
            (Is::Object, "arguments effective_policy_definition message_stats owner_pid_details"),
            (List, "members online consumer_details incoming deliveries"),
        ],
    ),
    (
        "Exchange",
        &[
            (Text, "name vhost type user_who_performed_action policy"),
            (Flag, "durable auto_delete internal"),
            (Whole, "messages_delayed"),
            (Is::Object, "arguments message_stats"),
            (List, "incoming outgoing"),
        ],
    ),
    (
        "Binding",
        &[
            (Text, "source vhost destination destination_type routing_key properties_key"),
            (Is::Object, "arguments"),
        ],
    ),
    (
        "Connection",
        &[
            (Text, "name node type protocol state user user_who_performed_action vhost host"),
            (Text, "peer_host auth_mechanism user_provided_name ssl_hash? ssl_cipher?"),
            (Text, "ssl_key_exchange? ssl_protocol? peer_cert_validity? peer_cert_issuer?"),
            (Text, "peer_cert_subject?"),
            (Flag, "ssl blocks_own_consumers"),
            (Whole, "connected_at port peer_port channels channel_max frame_max timeout send_pend"),
            (Whole, "recv_oct+ send_oct+ recv_cnt send_cnt reductions+"),
            (Is::Object, "client_properties message_stats garbage_collection"),
        ],
    ),
    (
        "Channel",
        &[
            (Text, "name node state user user_who_performed_action vhost"),
            (Flag, "confirm transactional"),
            (Whole, "number consumer_count prefetch_count global_prefetch_count"),
            (Whole, "messages_unacknowledged messages_unconfirmed messages_uncommitted"),
            (Whole, "acks_uncommitted pending_raft_commands reductions+"),
            (Is::Object, "connection_details message_stats garbage_collection"),
            (List, "consumer_details publishes deliveries"),
        ],
    ),
    (
        "Consumer",
        &[
            (Text, "consumer_tag activity_status"),
            (Flag, "ack_required exclusive active"),
            (Whole, "prefetch_count consumer_timeout"),
            (Is::Object, "queue arguments channel_details"),
        ],
    ),
    (
        "Vhost",
        &[
            (Text, "name description default_queue_type"),
            (Flag, "protected_from_deletion tracing"),
            (Whole, "messages+ messages_ready+ messages_unacknowledged+ recv_oct+ send_oct+"),
            (Is::Object, "metadata cluster_state message_stats"),
            (List, "tags"),
        ],
    ),
    (
        "User",
        &[(Text, "name password_hash hashing_algorithm"), (List, "tags"), (Is::Object, "limits")],
    ),
    ("Whoami", &[(Text, "name"), (List, "tags")]),
    ("Permission", &[(Text, "user vhost configure write read")]),
    ("TopicPermission", &[(Text, "user vhost exchange write read")]),
    (
        "Policy",
        &[(Text, "vhost name pattern apply-to"), (Whole, "priority"), (Is::Object, "definition")],
    ),
    ("Parameter", &[(Text, "vhost component name"), (Anything, "value")]),
    ("GlobalParameter", &[(Text, "name"), (Anything, "value")]),
    ("Limits", &[(Text, "vhost user"), (Is::Object, "value")]),
    ("ClusterName", &[(Text, "name")]),
    ("FeatureFlag", &[(Text, "name desc doc_url state stability provided_by")]),
    (
        "Attempts",
        &[
            (Text, "protocol"),
            (Whole, "auth_attempts auth_attempts_failed auth_attempts_succeeded"),
        ],
    ),
    ("Published", &[(Flag, "routed")]),
    (
        "Message",
        &[
            (Text, "exchange routing_key payload payload_encoding position state channel?"),
            (Text, "consumer_tag?"),
            (Flag, "redelivered"),
            (Whole, "payload_bytes message_count delivery_count arrived? due"),
            (Is::Object, "properties"),
        ],
    ),
    ("Messages", &[(List, "items"), (Text, "next? end")]),
    ("Done", &[(Whole, "done left"), (Is::Object, "skipped"), (Text, "next?")]),
    (
        "QueueInside",
        &[
            (Text, "name vhost"),
            (Flag, "paused"),
            (Whole, "max_rate? messages_ready messages_unacknowledged messages_scheduled"),
            (Whole, "oldest_ready_age? oldest_unacknowledged_age?"),
            (List, "consumers"),
        ],
    ),
    ("LogLevel", &[(Text, "level")]),
];

impl Told {
    /// What an answer is like.
    pub fn schema(self) -> RefOr<Schema> {
        match self {
            Self::One(kind) => Ref::from_schema_name(kind).into(),
            Self::List(kind) => {
                let items = || Array::new(Ref::from_schema_name(kind));
                AnyOfBuilder::new().item(items()).item(page(items())).into()
            }
        }
    }
}

/// A part of a list.
fn page(items: Array) -> ObjectBuilder {
    const COUNTS: [&str; 6] =
        ["filtered_count", "item_count", "page", "page_count", "page_size", "total_count"];
    let page = ObjectBuilder::new().property("items", items).required("items");
    COUNTS.iter().fold(page, |page, name| page.property(*name, value(Whole, false)).required(*name))
}

/// Adds all kinds to a document.
pub(super) fn add(components: ComponentsBuilder) -> ComponentsBuilder {
    KINDS.iter().fold(components, |components, (name, fields)| {
        let fields =
            fields.iter().flat_map(|(is, names)| names.split(' ').map(move |name| (*is, name)));
        components.schema(*name, fields.fold(ObjectBuilder::new(), field))
    })
}

fn field(object: ObjectBuilder, (is, name): (Is, &str)) -> ObjectBuilder {
    let (name, has_rate) = match name.strip_suffix('+') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let (name, may_be_null) = match name.strip_suffix('?') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let object = object.property(name, value(is, may_be_null));
    match has_rate {
        true => object.property(format!("{name}_details"), value(Is::Object, false)),
        false => object,
    }
}

fn value(is: Is, may_be_null: bool) -> Object {
    let kind = match is {
        Text => Type::String,
        Whole => Type::Integer,
        Number => Type::Number,
        Flag => Type::Boolean,
        Is::Object => Type::Object,
        List => Type::Array,
        Anything => return ObjectBuilder::new().schema_type(SchemaType::AnyValue).build(),
    };
    let kind = match may_be_null {
        true => SchemaType::from_iter([kind, Type::Null]),
        false => kind.into(),
    };
    ObjectBuilder::new().schema_type(kind).build()
}
