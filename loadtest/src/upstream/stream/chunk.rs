//! What one frame of a stream looks like in each of OpenAI's APIs.

use serde_json::{Value, json};

/// What a stream says about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// Which API's stream.
    pub shape: Shape,
    /// Named in every chunk.
    pub model: String,
    /// The stream ends with a usage chunk (`stream_options.include_usage`).
    pub usage: bool,
    /// What the usage says the prompt was.
    pub prompt_tokens: u64,
}

impl Default for About {
    fn default() -> Self {
        Self { shape: Shape::Chat, model: "gpt-mock".to_owned(), usage: false, prompt_tokens: 8 }
    }
}

/// Which API's stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// `/v1/chat/completions`.
    #[default]
    Chat,
    /// `/v1/completions`.
    Completion,
    /// `/v1/responses`.
    Responses,
}

/// Seconds since 1970 in every answer: fixed, so that answers repeat.
pub(in crate::upstream) const CREATED: u64 = 1_700_000_000;

/// An `event:` name, if the API has them, and the JSON without its closing brace.
pub(in crate::upstream) type Event = (Option<&'static str>, String);

/// What a content frame says if nobody asked for a size.
const TOKEN: &str = " token";

/// A content frame. `bytes` is its size with SSE framing, 0 for the smallest whole chunk of the API; `mock` is
/// the stamp. Too small a size sheds the API's fields, then the stamp.
pub(in crate::upstream) fn content(
    about: &About,
    nth: u64,
    first: bool,
    bytes: usize,
    mock: &str,
) -> Vec<u8> {
    let (before, after) = around(about, nth, first);
    let whole = before.len() + after.len() + mock.len() + "}\n\n".len();
    if bytes == 0 || bytes > whole {
        let text = words(if bytes == 0 { TOKEN.len() } else { bytes - whole });
        return format!("{before}{text}{after}{mock}}}\n\n").into_bytes();
    }
    let (before, after) = (r#"data: {"choices":[],"p":""#, r#"","#);
    let compact = before.len() + after.len() + mock.len() + "}\n\n".len();
    if bytes >= compact {
        return format!("{before}{}{after}{mock}}}\n\n", words(bytes - compact)).into_bytes();
    }
    let opaque = r#"data: """#.len() + "\n\n".len();
    format!("data: \"{}\"\n\n", words(bytes.saturating_sub(opaque))).into_bytes()
}

/// The text of a content frame of the Responses API.
pub(in crate::upstream) fn said(frame: &[u8]) -> &str {
    let text = std::str::from_utf8(frame).unwrap_or_default();
    let delta = text.split_once(r#""delta":""#).map(|(_, rest)| rest);
    delta.and_then(|rest| rest.split_once('"')).map_or("", |(said, _)| said)
}

/// So many letters of words, beginning with a space as tokens do.
fn words(len: usize) -> String {
    TOKEN.chars().cycle().take(len).collect()
}

/// The text before and after a content frame's words.
fn around(about: &About, nth: u64, first: bool) -> (String, String) {
    let usage = if about.usage { r#""usage":null,"# } else { "" };
    match about.shape {
        Shape::Chat => {
            let role = if first { r#""role":"assistant","# } else { "" };
            let head = chat_head(about, nth);
            let before =
                format!(r#"data: {head},"choices":[{{"index":0,"delta":{{{role}"content":""#);
            (before, format!(r#""}},"logprobs":null,"finish_reason":null}}],{usage}"#))
        }
        Shape::Completion => {
            let head = completion_head(about, nth);
            let before = format!(r#"data: {head},"choices":[{{"text":""#);
            (before, format!(r#"","index":0,"logprobs":null,"finish_reason":null}}],{usage}"#))
        }
        Shape::Responses => {
            let before = format!(
                "event: response.output_text.delta\n\
                 data: {{\"type\":\"response.output_text.delta\",\"sequence_number\":         0,\
                 \"item_id\":\"msg_{nth:016x}\",\"output_index\":0,\"content_index\":0,\"delta\":\""
            );
            (before, r#"","logprobs":[],"#.to_owned())
        }
    }
}

fn chat_head(about: &About, nth: u64) -> String {
    let model = Value::from(about.model.as_str());
    format!(
        r#"{{"id":"chatcmpl-{nth:016x}","object":"chat.completion.chunk","created":{CREATED},"model":{model}"#
    )
}

fn completion_head(about: &About, nth: u64) -> String {
    let model = Value::from(about.model.as_str());
    format!(
        r#"{{"id":"cmpl-{nth:016x}","object":"text_completion","created":{CREATED},"model":{model}"#
    )
}

/// The events before the first content frame.
pub(in crate::upstream) fn opening(about: &About, nth: u64) -> Vec<Event> {
    if about.shape != Shape::Responses {
        return Vec::new();
    }
    let begun = response(about, nth, "in_progress", 0, None);
    let item = json!({"id": format!("msg_{nth:016x}"), "type": "message", "status": "in_progress",
        "role": "assistant", "content": []});
    vec![
        event("response.created", &json!({"response": begun})),
        event("response.in_progress", &json!({"response": begun})),
        event("response.output_item.added", &json!({"output_index": 0, "item": item})),
        event("response.content_part.added", &part(nth, "")),
    ]
}

/// The events after the last content frame, `[DONE]` not included.
pub(in crate::upstream) fn closing(about: &About, nth: u64, tokens: u64, said: &str) -> Vec<Event> {
    let usage = format!(r#""usage":{}"#, usage(about.prompt_tokens, tokens));
    let null = if about.usage { r#","usage":null"# } else { "" };
    let (head, finish) = match about.shape {
        Shape::Responses => return responses_closing(about, nth, tokens, said),
        Shape::Chat => (
            chat_head(about, nth),
            r#"{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}"#,
        ),
        Shape::Completion => (
            completion_head(about, nth),
            r#"{"text":"","index":0,"logprobs":null,"finish_reason":"stop"}"#,
        ),
    };
    let mut events = vec![(None, format!(r#"{head},"choices":[{finish}]{null}"#))];
    if about.usage {
        events.push((None, format!(r#"{head},"choices":[],{usage}"#)));
    }
    events
}

fn responses_closing(about: &About, nth: u64, tokens: u64, said: &str) -> Vec<Event> {
    let item = message(nth, said);
    let done = json!({"item_id": format!("msg_{nth:016x}"), "output_index": 0, "content_index": 0,
        "text": said, "logprobs": []});
    let whole = response(about, nth, "completed", tokens, Some(said));
    vec![
        event("response.output_text.done", &done),
        event("response.content_part.done", &part(nth, said)),
        event("response.output_item.done", &json!({"output_index": 0, "item": item})),
        event("response.completed", &json!({"response": whole})),
    ]
}

/// An event of the Responses API; `sequence_number` gets a place of fixed width.
fn event(name: &'static str, fields: &Value) -> Event {
    let text = fields.to_string();
    let fields = text.trim_start_matches('{');
    let fields = fields.strip_suffix('}').unwrap_or(fields);
    let head = format!(r#"{{"type":"{name}","sequence_number":         0"#);
    (Some(name), format!("{head},{fields}"))
}

fn part(nth: u64, said: &str) -> Value {
    json!({"item_id": format!("msg_{nth:016x}"), "output_index": 0, "content_index": 0,
        "part": {"type": "output_text", "text": said, "annotations": [], "logprobs": []}})
}

fn message(nth: u64, said: &str) -> Value {
    json!({"id": format!("msg_{nth:016x}"), "type": "message", "status": "completed", "role": "assistant",
        "content": [{"type": "output_text", "text": said, "annotations": [], "logprobs": []}]})
}

/// The response object of the Responses API, begun (`said` is None) or completed.
pub(in crate::upstream) fn response(
    about: &About,
    nth: u64,
    status: &str,
    tokens: u64,
    said: Option<&str>,
) -> Value {
    let output: Vec<Value> = said.iter().map(|said| message(nth, said)).collect();
    let usage = said.map(|_| {
        json!({"input_tokens": about.prompt_tokens, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": tokens, "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": about.prompt_tokens.saturating_add(tokens)})
    });
    json!({"id": format!("resp_{nth:016x}"), "object": "response", "created_at": CREATED, "status": status,
        "background": false, "error": null, "incomplete_details": null, "instructions": null,
        "max_output_tokens": null, "model": about.model, "output": output, "parallel_tool_calls": true,
        "previous_response_id": null, "reasoning": {"effort": null, "summary": null}, "store": true,
        "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
        "top_p": 1.0, "truncation": "disabled", "usage": usage, "metadata": {}})
}

/// The usage object of the chat and completions APIs.
pub(in crate::upstream) fn usage(prompt: u64, completion: u64) -> Value {
    json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt.saturating_add(completion),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}})
}

/// What an answer of so many tokens says when it is not streamed.
pub(in crate::upstream) fn prose(tokens: u64) -> String {
    TOKEN.repeat(tokens as usize)
}
