//! The API shapes known by name: their path, and a body that asks for text.

use http::Method;

/// An OpenAI-compatible endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Api {
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/responses`
    Responses,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/embeddings`
    Embeddings,
    /// `GET /v1/models`
    Models,
}

impl Api {
    const ALL: [Self; 5] =
        [Self::Chat, Self::Responses, Self::Completions, Self::Embeddings, Self::Models];

    /// Its path below the API's base.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Responses => "/responses",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Models => "/models",
        }
    }

    /// The API that a path ends in, if it is one of those known.
    pub fn of_path(path: &str) -> Option<Self> {
        let path = path.split('?').next().unwrap_or(path);
        // The chat path also ends in `/completions`: the first that fits is the longest.
        Self::ALL.into_iter().find(|api| path.ends_with(api.path()))
    }

    /// The whole path for a URL given as an origin (`/`), an API base (`…/v1`) or an endpoint.
    pub fn resolve(self, path: &str) -> String {
        let base = path.trim_end_matches('/');
        if base.is_empty() {
            format!("/v1{}", self.path())
        } else if base.ends_with("/v1") {
            format!("{base}{}", self.path())
        } else {
            path.to_owned()
        }
    }

    /// Its method.
    pub fn method(self) -> Method {
        if self == Self::Models { Method::GET } else { Method::POST }
    }

    /// Its usual body as a template.
    pub fn body(self, stream: bool) -> &'static str {
        match (self, stream) {
            (Self::Chat, true) => concat!(
                r#"{"model":"{{model}}","messages":[{"role":"user","content":"{{prompt}}"}],"#,
                r#""max_tokens":{{max_tokens}},"stream":true,"#,
                r#""stream_options":{"include_usage":true}}"#
            ),
            (Self::Chat, false) => concat!(
                r#"{"model":"{{model}}","messages":[{"role":"user","content":"{{prompt}}"}],"#,
                r#""max_tokens":{{max_tokens}}}"#
            ),
            (Self::Responses, _) => concat!(
                r#"{"model":"{{model}}","input":"{{prompt}}","#,
                r#""max_output_tokens":{{max_tokens}},"stream":{{stream}}}"#
            ),
            (Self::Completions, _) => concat!(
                r#"{"model":"{{model}}","prompt":"{{prompt}}","#,
                r#""max_tokens":{{max_tokens}},"stream":{{stream}}}"#
            ),
            (Self::Embeddings, _) => r#"{"model":"{{model}}","input":"{{prompt}}"}"#,
            (Self::Models, _) => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_a_base_and_an_endpoint_lead_to_the_same_path() {
        for path in ["/", "/v1", "/v1/", "/v1/chat/completions"] {
            assert_eq!(Api::Chat.resolve(path), "/v1/chat/completions", "{path}");
        }
        assert_eq!(Api::Chat.resolve("/openai/v1"), "/openai/v1/chat/completions");
        assert_eq!(Api::Chat.resolve("/health"), "/health");
    }

    #[test]
    fn an_endpoint_tells_its_api() {
        assert_eq!(Api::of_path("/v1/chat/completions?a=b"), Some(Api::Chat));
        assert_eq!(Api::of_path("/v1/completions"), Some(Api::Completions));
        assert_eq!(Api::of_path("/health"), None);
    }
}
