//! Clients as JSON, for `/stats` and `/clients/NAME`.

use serde_json::{Value, json};

use crate::record::collect::instance::clients::{
    ClientShown, ClientsShown, LimitShown, ModelShown,
};

/// All of them with their groups.
pub(in crate::record) fn all(shown: &ClientsShown) -> Value {
    json!({
        "clients": shown.clients.iter().map(client).collect::<Vec<_>>(),
        "groups": shown.groups.iter().map(limit).collect::<Vec<_>>(),
    })
}

/// One of them by its name, with the limits of its groups; `None` where there is none of that name.
pub(in crate::record) fn one(shown: &ClientsShown, name: &str) -> Option<Value> {
    let found = shown.clients.iter().find(|client| client.name == name)?;
    let mut page = client(found);
    let shares = shown.groups.iter().filter(|group| found.shares.contains(&group.owner));
    page["group_limits"] = shares.map(limit).collect();
    Some(page)
}

fn client(client: &ClientShown) -> Value {
    json!({
        "name": client.name,
        "models": client.models.iter().map(model).collect::<Vec<_>>(),
        "limits": client.limits.iter().map(limit).collect::<Vec<_>>(),
    })
}

fn model(model: &ModelShown) -> Value {
    let ModelShown { model, requests, input, cached, output, cost, estimated } = model;
    json!({
        "model": model,
        "requests": requests,
        "tokens": { "input": input, "cached": cached, "output": output },
        "cost_usd": usd(*cost as f64),
        "estimated_requests": estimated,
    })
}

fn limit(limit: &LimitShown) -> Value {
    let LimitShown { owner, limit, most, left, refused } = limit;
    let (most, left) = if *limit == "budget_usd" {
        (json!(usd(*most as f64)), json!(usd(*left as f64)))
    } else {
        (json!(most), json!(left))
    };
    json!({ "owner": owner, "limit": limit, "most": most, "left": left, "refused": refused })
}

fn usd(nanos: f64) -> f64 {
    nanos / 1e9
}
