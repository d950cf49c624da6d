"""What an application that uses OpenAI's Python SDK relies on. The Node twin of this file has the same cases by name."""

import asyncio
import io

import httpx
import openai

TOKENS = 7
QUESTION = [{"role": "user", "content": "say something"}]
UPLOAD_BYTES = 6 * 1024 * 1024


def steer(**how):
    """Headers that tell the mock upstream what to do; the proxy passes them on like any other."""
    return {"x-mock-" + name.replace("_", "-"): str(value) for name, value in how.items()}


def expect(condition, message):
    if not condition:
        raise AssertionError(message)


def stream_chat(client, **how):
    return client.chat.completions.create(
        model="gpt-4o", messages=QUESTION, stream=True,
        stream_options={"include_usage": True}, extra_headers=steer(**how))


def collect(stream):
    """The whole answer, as an application would put it together."""
    text, finish, usage = [], None, None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            if choice.delta.content:
                text.append(choice.delta.content)
            finish = choice.finish_reason or finish
    return {"deltas": len(text), "text": "".join(text), "finish": finish, "usage": usage and usage.model_dump(exclude_none=True)}


def whole_chat(client, **how):
    seen = collect(stream_chat(client, **{"tokens": TOKENS, **how}))
    expect(seen["text"] and seen["finish"] == "stop", f"not a whole answer: {seen}")
    expect(seen["usage"] and seen["usage"]["total_tokens"] > 0, f"no usage: {seen}")
    return seen


# --- group api: everything works, and looks the same as without a proxy -------------------------------------------------

def chat_stream(client, options):
    return whole_chat(client)


def chat_stream_slowly(client, options):
    return whole_chat(client, gap_us=20_000, first_ms=50)


def chat_once(client, options):
    answer = client.chat.completions.create(model="gpt-4o", messages=QUESTION, extra_headers=steer(tokens=TOKENS))
    choice = answer.choices[0]
    expect(choice.message.content and choice.finish_reason == "stop", "no content")
    return {"text": choice.message.content, "finish": choice.finish_reason, "usage": answer.usage.model_dump(exclude_none=True)}


def responses_stream(client, options):
    stream = client.responses.create(model="gpt-4o", input="hello", stream=True, extra_headers=steer(tokens=TOKENS))
    events = list(stream)
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    expect(text, "no text")
    expect(events[0].type == "response.created" and events[-1].type == "response.completed", "not from created to completed")
    return {"events": [event.type for event in events], "text": text}


def responses_once(client, options):
    answer = client.responses.create(model="gpt-4o", input="hello", extra_headers=steer(tokens=TOKENS))
    expect(answer.output_text, "no text")
    return {"text": answer.output_text, "status": answer.status}


def completions_stream(client, options):
    stream = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="once", stream=True, extra_headers=steer(tokens=TOKENS))
    texts = [choice.text for chunk in stream for choice in chunk.choices]
    expect("".join(texts), "no text")
    return texts


def completions_once(client, options):
    answer = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="once", extra_headers=steer(tokens=TOKENS))
    expect(answer.choices[0].text, "no text")
    return answer.choices[0].text


def embeddings(client, options):
    vector = client.embeddings.create(model="text-embedding-3-small", input="a sentence").data[0].embedding
    expect(len(vector) > 1 and all(isinstance(value, float) for value in vector), "no vector")
    return vector


def models_list(client, options):
    names = [model.id for model in client.models.list()]
    expect(names, "no models")
    return names


def files_upload(client, options):
    content = bytes(range(256)) * (UPLOAD_BYTES // 256)
    stored = client.files.create(file=("prompts.jsonl", io.BytesIO(content)), purpose="batch")
    expect(stored.bytes >= UPLOAD_BYTES, f"{stored.bytes} bytes of at least {UPLOAD_BYTES} arrived")
    return {"bytes": stored.bytes, "object": stored.object}


def audio_transcription(client, options):
    sound = io.BytesIO(b"RIFF" + bytes(512 * 1024))
    answer = client.audio.transcriptions.create(model="whisper-1", file=("speech.wav", sound))
    expect(isinstance(answer.text, str), "no text")
    return type(answer).__name__


def large_prompt(client, options):
    prompt = [{"role": "user", "content": "é☃ word " * 100_000}]
    answer = client.chat.completions.create(model="gpt-4o", messages=prompt, extra_headers=steer(tokens=TOKENS))
    expect(answer.choices[0].message.content, "no content")
    return answer.choices[0].message.content


def response_headers(client, options):
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=QUESTION, extra_headers=steer(tokens=TOKENS))
    names = sorted(name for name in raw.headers if name.startswith(("openai-", "x-ratelimit-")))
    expect(raw.headers.get("x-request-id"), "no x-request-id")
    expect(names, "no openai-* or x-ratelimit-* header")
    return names


def close_after_done_then_again(client, options):
    """The SDK closes the response right behind [DONE]; ten in a row show that nothing is left behind."""
    return [whole_chat(client)["text"] for _ in range(10)][-1]


def break_then_again(client, options):
    with stream_chat(client, tokens=100_000, gap_us=5_000) as stream:
        for read, _ in enumerate(stream, start=1):
            if read == 3:
                break
    return whole_chat(client)


def many_at_once(client, options):
    """Twenty streams of different lengths, each its own."""
    async def one(other, tokens):
        stream = await other.chat.completions.create(
            model="gpt-4o", messages=QUESTION, stream=True, extra_headers=steer(tokens=tokens, gap_us=2_000))
        return len([chunk async for chunk in stream if chunk.choices and chunk.choices[0].delta.content])

    async def everyone():
        async with openai.AsyncOpenAI(base_url=client.base_url, api_key=client.api_key, max_retries=0) as other:
            return await asyncio.gather(*(one(other, 10 + number) for number in range(20)))

    counts = asyncio.run(everyone())
    expect(all(later == first + 1 for first, later in zip(counts, counts[1:])), f"mixed up: {counts}")
    return counts


# --- group errors: the upstream's own, class by class -----------------------------------------------------------------

CLASSES = {
    400: openai.BadRequestError, 401: openai.AuthenticationError, 403: openai.PermissionDeniedError, 404: openai.NotFoundError,
    409: openai.ConflictError, 422: openai.UnprocessableEntityError, 429: openai.RateLimitError,
    500: openai.InternalServerError, 503: openai.InternalServerError, 504: openai.InternalServerError,
}


def describe(error):
    """What an application can read off an error. Ids differ from run to run; that there is one doesn't."""
    return {
        "class": type(error).__name__, "status": error.status_code, "message": error.body and error.body.get("message"), "type": error.type,
        "param": error.param, "code": error.code, "has_request_id": bool(error.request_id),
        "retry_after": error.response.headers.get("retry-after"),
    }


def error_classes(client, options):
    table = []
    for status, wanted in CLASSES.items():
        for stream in (False, True):
            try:
                client.chat.completions.create(
                    model="gpt-4o", messages=QUESTION, stream=stream, extra_headers=steer(script=status))
                raise AssertionError(f"{status} was taken for an answer")
            except openai.APIStatusError as error:
                seen = describe(error)
                expect(type(error) is wanted and error.status_code == status, f"{status}: {seen}")
                expect(seen["message"] and seen["type"], f"{status}: {seen}")
                expect(status != 429 or seen["retry_after"], f"429 without Retry-After: {seen}")
                table.append(seen)
    return table


# --- group retry: the SDK's own retries, of an upstream that refuses first and then answers ----------------------------

def retries_until_answered(client, options):
    return whole_chat(client)


# --- group refused: one error of the proxy's own, as the options say: class, status, code ------------------------------

def refused_as_told(client, options):
    try:
        for _ in stream_chat(client):
            pass
        raise AssertionError("there was an answer")
    except openai.APIStatusError as error:
        seen = describe(error)
        expect(seen["class"] == options["class"] and str(seen["status"]) == options["status"], f"{seen}")
        expect(seen["message"] and seen["type"] and seen["code"] == options["code"], f"not as OpenAI says it: {seen}")
        expect(seen["has_request_id"], f"no request id: {seen}")
        return seen


# --- group keyless: the same without any key ----------------------------------------------------------------------------

def refused_without_a_key(client, options):
    # It sends none by itself: newer versions refuse to.
    hooks = {"request": [lambda request: request.headers.pop("authorization", None)]}
    keyless = client.with_options(http_client=httpx.Client(event_hooks=hooks))
    return refused_as_told(keyless, options)


# --- group limited: what a client with limits of the proxy's own sees, when it keeps to them and when it does not ---------

def limits_are_told_on_a_stream(client, options):
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-4o", messages=QUESTION, stream=True, extra_headers=steer(tokens=TOKENS))
    told = {name: value for name, value in raw.headers.items() if name.startswith("x-ratelimit-")}
    expect(collect(raw.parse())["text"], "no text")
    expect(told.get("x-ratelimit-limit-requests") == "20", f"{told}")
    expect(told.get("x-ratelimit-remaining-requests") == "0", f"{told}")
    return sorted(told)


def a_refused_request_is_answered_after_the_time_told(client, options):
    """The one before it has just used up what there was: the SDK's one retry is answered only if it waits as it is told."""
    return whole_chat(client)


# --- group cut: an answer that was cut must never look like one that ended ----------------------------------------------

def raises(name, call):
    """The client's own timeout is no sign from the proxy: whoever waits for that has been left hanging."""
    try:
        ended = call()
    except openai.APIStatusError as error:
        raise AssertionError(f"{name} was answered with an error: {describe(error)}") from error
    except openai.APITimeoutError as error:
        raise AssertionError(f"{name} was left hanging") from error
    except Exception as error:  # noqa: BLE001 - that it raises is what counts; which class is told
        return type(error).__name__
    raise AssertionError(f"{name} ended cleanly: {ended}")


def cut_stream_raises(client, options):
    """options: times; the upstream cuts every answer after its head. Outside `raises`: the head itself must arrive."""
    classes = []
    for _ in range(int(options.get("times", "1"))):
        stream = stream_chat(client)
        classes.append(raises("a stream", lambda: collect(stream)))
    return classes


def cut_answer_raises(client, options):
    def once():
        return client.chat.completions.create(model="gpt-4o", messages=QUESTION).model_dump()
    return raises("an answer", once)


# --- group silent: a stream that is silent before each event, and whose events have ids ---------------------------------

def a_silent_stream_is_read_to_its_end(client, options):
    """An event without data, which some make of a comment, is no JSON."""
    return collect(stream_chat(client))


# --- group models: a route that forwards by the model --------------------------------------------------------------------

def models_are_joined(client, options):
    """Of both upstreams, each only what the route leads there; one of them by its name."""
    ids = sorted(model.id for model in client.models.list())
    expect(ids == options["ids"].split(","), f"listed: {ids}")
    expect(client.models.retrieve(ids[0]).id == ids[0], "another model")
    return {"ids": ids}


def each_model_goes_its_way(client, options):
    seen = []
    for model in options["ids"].split(","):
        chat = client.chat.completions.create(model=model, messages=QUESTION)
        form = client.audio.transcriptions.create(file=("a.mp3", io.BytesIO(b"\r\n--" * 100_000)), model=model)
        seen.append([model, chat.choices[0].message.content, form.text])
    return {"seen": seen}


GROUPS = {
    "models": [models_are_joined, each_model_goes_its_way],
    "streams": [chat_stream, chat_stream_slowly, responses_stream, completions_stream],
    "silent": [a_silent_stream_is_read_to_its_end],
    "api": [
        chat_stream, chat_stream_slowly, chat_once, responses_stream, responses_once, completions_stream, completions_once,
        embeddings, models_list, files_upload, audio_transcription, large_prompt, response_headers,
        close_after_done_then_again, break_then_again, many_at_once,
    ],
    "errors": [error_classes],
    "retry": [retries_until_answered],
    "refused": [refused_as_told],
    "keyless": [refused_without_a_key],
    "limited": [limits_are_told_on_a_stream, a_refused_request_is_answered_after_the_time_told],
    "cut-stream": [cut_stream_raises],
    "cut-answer": [cut_answer_raises],
}
