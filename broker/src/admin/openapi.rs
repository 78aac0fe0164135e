//! The API as an OpenAPI 3.1 document.

use utoipa::openapi::path::{
    OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{
    AdditionalProperties, Object, ObjectBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, ContentBuilder, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder,
    PathItem, Ref, Required, Response, ResponseBuilder,
};

use super::asked;
use super::table::Operation;
use super::told::{self, Told};

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
        .property("reason", anything())
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
            told::add(ComponentsBuilder::new())
                .schema(FAULT, fault)
                .security_scheme(LOGIN, login)
                .build(),
        ))
        .security(Some([SecurityRequirement::new(LOGIN, [""; 0])]))
        .build()
}

fn describe(operation: &Operation) -> OperationBuilder {
    let Operation { path, method, takes_body, told } = operation;
    let tag = path.split('/').nth(2).unwrap_or_default();
    let object = || {
        let any = AdditionalProperties::FreeForm(true);
        let object = ObjectBuilder::new().schema_type(Type::Object);
        let keys = asked::keys(method, path).iter();
        let object = keys.fold(object, |object, (key, kind)| {
            object.property(*key, ObjectBuilder::new().schema_type(kind.clone()).build())
        });
        object.additional_properties(Some(any)).build()
    };
    let body = RequestBodyBuilder::new()
        .content("application/json", Content::new(Some(Schema::Object(object()))))
        .build();
    let described = OperationBuilder::new()
        .tag(tag)
        .operation_id(Some(name(method, path)))
        .parameters(Some(parameters(method, path)))
        .request_body(takes_body.then_some(body));
    let answers = match method {
        HttpMethod::Get => vec![("200", asked_for(*told))],
        HttpMethod::Post => {
            vec![("200", asked_for(*told)), ("201", plain("made")), ("204", plain("done"))]
        }
        _ => vec![("201", plain("made")), ("204", plain("done"))],
    };
    let refusals = [
        ("400", refusal("it makes no sense")),
        ("401", plain("no login, which is all that is said then, or it is not allowed")),
        ("404", refusal("it is not there")),
        ("503", json("it cannot be done now, or a check has failed")),
    ];
    let further = match method {
        HttpMethod::Get => vec![],
        HttpMethod::Delete => vec![("412", refusal("it is protected"))],
        _ => vec![("408", refusal("the body does not come"))],
    };
    let answers = answers.into_iter().chain(refusals).chain(further);
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

fn parameters(method: &HttpMethod, path: &str) -> Vec<Parameter> {
    let parameter = |name: &str, place, required| {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let parameter = ParameterBuilder::new().name(name).parameter_in(place);
        parameter.required(required).schema(Some(text)).build()
    };
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = names.map(|name| parameter(name, ParameterIn::Path, Required::True));
    let in_query = asked::query(method, path)
        .iter()
        .map(|name| parameter(name, ParameterIn::Query, Required::False));
    in_path.chain(in_query).collect()
}

fn plain(what: &str) -> Response {
    Response::new(what)
}

fn json(what: &str) -> Response {
    let any = ContentBuilder::new().schema(Some(anything()));
    ResponseBuilder::new().description(what).content("application/json", any.build()).build()
}

fn asked_for(told: Option<Told>) -> Response {
    let schema = told.map_or_else(|| anything().into(), Told::schema);
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description("what was asked for")
        .content("application/json", content)
        .build()
}

fn anything() -> Object {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).build()
}

fn refusal(what: &str) -> Response {
    let fault = Content::new(Some(Ref::from_schema_name(FAULT)));
    ResponseBuilder::new().description(what).content("application/json", fault).build()
}
