//! The table of routes: what answers requests and what is told of it are made from the same lines.

use std::any::type_name;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{self, MethodRouter};
use utoipa::openapi::HttpMethod;

use super::Admin;
use super::input::Input;
use super::told::Told;

/// Routes, by path.
#[derive(Default)]
pub(super) struct Routes {
    router: Router<Arc<Admin>>,
    operations: Vec<Operation>,
}

/// What may be done under some path.
pub(super) struct Methods {
    router: MethodRouter<Arc<Admin>>,
    kinds: Vec<Kind>,
}

struct Kind {
    method: HttpMethod,
    takes_body: bool,
    told: Option<Told>,
}

/// Something that may be asked.
pub(super) struct Operation {
    /// With names in braces.
    pub path: String,
    /// How.
    pub method: HttpMethod,
    /// It comes with a JSON object.
    pub takes_body: bool,
    /// What its answer has, if that is one of a few kinds.
    pub told: Option<Told>,
}

impl Routes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what may be done under a path.
    pub fn route(mut self, path: &str, methods: Methods) -> Self {
        let operation = |Kind { method, takes_body, told }| Operation {
            path: path.to_owned(),
            method,
            takes_body,
            told,
        };
        self.operations.extend(methods.kinds.into_iter().map(operation));
        self.router = self.router.route(path, methods.router);
        self
    }

    /// Adds others.
    pub fn merge(mut self, others: Self) -> Self {
        self.operations.extend(others.operations);
        self.router = self.router.merge(others.router);
        self
    }

    /// What handlers read of a body is not limited before them.
    pub fn with_bodies_of_any_size(mut self) -> Self {
        self.router = self.router.layer(DefaultBodyLimit::disable());
        self
    }

    /// All that may be asked.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// What answers.
    pub fn into_router(self) -> Router<Arc<Admin>> {
        self.router
    }
}

/// Declares what a [`Methods`] begins with.
macro_rules! first {
    ($($name:ident $method:ident),*) => {
        $(
            pub(super) fn $name<H, T>(handler: H) -> Methods
            where
                H: Handler<T, Arc<Admin>>,
                T: 'static,
            {
                let kinds = vec![Kind::of::<T>(HttpMethod::$method)];
                Methods { router: routing::$name(handler), kinds }
            }
        )*
    };
}

/// Declares what is added to a [`Methods`].
macro_rules! further {
    ($($name:ident $method:ident),*) => {
        impl Methods {
            $(
                pub fn $name<H, T>(mut self, handler: H) -> Self
                where
                    H: Handler<T, Arc<Admin>>,
                    T: 'static,
                {
                    self.kinds.push(Kind::of::<T>(HttpMethod::$method));
                    self.router = self.router.$name(handler);
                    self
                }
            )*
        }
    };
}

first!(get Get, put Put, post Post, delete Delete);
further!(put Put, post Post, delete Delete);

impl Methods {
    /// What was added last is answered by an object of this kind.
    pub fn shows(self, kind: &'static str) -> Self {
        self.tells(Told::One(kind))
    }

    /// What was added last is answered by a list of such objects, or a page of it.
    pub fn lists(self, kind: &'static str) -> Self {
        self.tells(Told::List(kind))
    }

    fn tells(mut self, told: Told) -> Self {
        if let Some(last) = self.kinds.last_mut() {
            last.told = Some(told);
        }
        self
    }
}

impl Kind {
    /// `T` are the arguments of a handler.
    fn of<T>(method: HttpMethod) -> Self {
        Self { method, takes_body: type_name::<T>().contains(type_name::<Input>()), told: None }
    }
}
