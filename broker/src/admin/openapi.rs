//! The API as an OpenAPI 3.1 document.

use utoipa::openapi::path::{
    OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, ContentBuilder, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder,
    PathItem, Ref, Required, Response, ResponseBuilder,
};

use super::table::Operation;

/// The name of the only way to log in.
const LOGIN: &str = "basic";

/// The name of the form of refusals.
const FAULT: &str = "Fault";

/// Says what may be asked.
pub(super) fn document(operations: &[Operation]) -> OpenApi {
    let paths = operations.iter().fold(PathsBuilder::new(), |paths, operation| {
        paths.path(&operation.path, PathItem::new(operation.method.clone(), describe(operation)))
    });
    let text = || Schema::Object(ObjectBuilder::new().schema_type(Type::String).build());
    let fault = ObjectBuilder::new()
        .property("error", text())
        .property("reason", ObjectBuilder::new().build())
        .required("error")
        .required("reason");
    let login = SecurityScheme::Http(Http::new(HttpAuthScheme::Basic));
    let info = InfoBuilder::new()
        .title("Lepus")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("RabbitMQ's HTTP API, and under /api/x what Lepus has beyond it."));
    OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(
            ComponentsBuilder::new().schema(FAULT, fault).security_scheme(LOGIN, login).build(),
        ))
        .security(Some([SecurityRequirement::new(LOGIN, [""; 0])]))
        .build()
}

fn describe(operation: &Operation) -> OperationBuilder {
    let Operation { path, method, takes_body } = operation;
    let tag = path.split('/').nth(2).unwrap_or_default();
    let object = || {
        let any = AdditionalProperties::FreeForm(true);
        ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(any)).build()
    };
    let body = RequestBodyBuilder::new()
        .content("application/json", Content::new(Some(Schema::Object(object()))))
        .build();
    let described = OperationBuilder::new()
        .tag(tag)
        .operation_id(Some(name(method, path)))
        .parameters(Some(parameters(path)))
        .request_body(takes_body.then_some(body));
    let answers = match method {
        HttpMethod::Get => vec![("200", json("what was asked for"))],
        HttpMethod::Post => {
            vec![
                ("200", json("what was asked for")),
                ("201", plain("made")),
                ("204", plain("done")),
            ]
        }
        _ => vec![("201", plain("made")), ("204", plain("done"))],
    };
    let refusals = [
        ("400", refusal("it makes no sense")),
        ("401", refusal("no login, or it is not allowed")),
        ("404", refusal("it is not there")),
        ("503", refusal("it cannot be done now, or a check has failed")),
    ];
    let answers = answers.into_iter().chain(refusals);
    answers.fold(described, |described, (status, answer)| described.response(status, answer))
}

/// `GET /api/queues/{vhost}` is `get_queues_vhost`.
fn name(method: &HttpMethod, path: &str) -> String {
    let method = match method {
        HttpMethod::Get => "get",
        HttpMethod::Put => "put",
        HttpMethod::Post => "post",
        _ => "delete",
    };
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.skip(1).fold(method.to_owned(), |name, word| name + "_" + word)
}

fn parameters(path: &str) -> impl Iterator<Item = Parameter> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
        parameter.required(Required::True).schema(Some(text)).build()
    })
}

fn plain(what: &str) -> Response {
    Response::new(what)
}

fn json(what: &str) -> Response {
    let any = ContentBuilder::new().schema(Some(
        ObjectBuilder::new().schema_type(utoipa::openapi::schema::SchemaType::AnyValue),
    ));
    ResponseBuilder::new().description(what).content("application/json", any.build()).build()
}

fn refusal(what: &str) -> Response {
    let fault = Content::new(Some(Ref::from_schema_name(FAULT)));
    ResponseBuilder::new().description(what).content("application/json", fault).build()
}
