//! Asking a model why it calls a tool (`model_intent`): the schema that asks, and the arguments without
//! the answer. Pure.

use serde_json::{Map, Value, json};

/// The member that holds the reason.
const INTENT: &str = "model_intent";
/// The member that holds the tool's own arguments.
const OWN: &str = "properties";

/// A call as a model made it, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Unwrapped {
    /// Why it is made, if the model said so: one line for people.
    pub intent: Option<String>,
    /// The arguments for the tool.
    pub arguments: Map<String, Value>,
}

/// A tool's input schema, wrapped so that a call has to say why it is made: an object of `model_intent`, a
/// text, and `properties`, the tool's own arguments.
pub fn wrap(schema: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {
            INTENT: {
                "type": "string",
                "description": "Why this tool is called: one short sentence for the user.",
            },
            OWN: schema,
        },
        "required": [INTENT, OWN],
        "additionalProperties": false,
    })
}

/// The arguments of a call under a wrapped schema, in the shapes that models write: as the schema says; flat,
/// the reason beside the tool's own arguments; and without any wrapping. A text in the place of an object is
/// read as JSON. `schema` is the tool's own, for tools with arguments of these very names.
pub fn unwrap(schema: &Value, arguments: &Map<String, Value>) -> Unwrapped {
    let owns = |name: &str| schema["properties"].get(name).is_some();
    let mut rest = arguments.clone();
    let wrapped = rest.get(OWN).and_then(object);
    let said = rest.get(INTENT).and_then(Value::as_str).map(str::to_owned);
    let only = rest.keys().all(|name| name == OWN || name == INTENT);
    match wrapped {
        Some(own) if only && (rest.contains_key(INTENT) || !owns(OWN)) => Unwrapped {
            intent: said,
            arguments: own,
        },
        Some(_) | None => {
            let intent = said.filter(|_| !owns(INTENT));
            if intent.is_some() {
                rest.remove(INTENT);
            }
            Unwrapped {
                intent,
                arguments: rest,
            }
        }
    }
}

/// An object, or the text of one.
fn object(value: &Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object.clone()),
        Value::String(text) => serde_json::from_str(text).ok(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(names: &[&str]) -> Value {
        let properties: Map<_, _> = names
            .iter()
            .map(|&name| (name.to_owned(), json!({ "type": "string" })))
            .collect();
        json!({ "type": "object", "properties": properties })
    }

    fn unwrapped(schema: &Value, arguments: Value) -> (Option<String>, Value) {
        let Value::Object(arguments) = arguments else {
            panic!("arguments are an object");
        };
        let Unwrapped { intent, arguments } = unwrap(schema, &arguments);
        (intent, Value::Object(arguments))
    }

    #[test]
    fn a_wrapped_schema_asks_for_both() {
        let own = schema(&["q"]);

        let wrapped = wrap(&own);

        assert_eq!(wrapped["properties"][OWN], own);
        assert_eq!(wrapped["properties"][INTENT]["type"], "string");
        assert_eq!(wrapped["required"], json!([INTENT, OWN]));
    }

    #[test]
    fn every_shape_is_taken_apart() {
        let plain = schema(&["q"]);
        let why = || Some("to look".to_owned());
        for (arguments, intent) in [
            (json!({ INTENT: "to look", OWN: { "q": "x" } }), why()),
            (json!({ INTENT: "to look", OWN: "{\"q\":\"x\"}" }), why()),
            (json!({ INTENT: "to look", "q": "x" }), why()),
            (json!({ OWN: { "q": "x" } }), None),
            (json!({ "q": "x" }), None),
        ] {
            let taken = unwrapped(&plain, arguments.clone());

            assert_eq!(taken, (intent, json!({ "q": "x" })), "{arguments}");
        }
    }

    #[test]
    fn a_tools_own_arguments_of_these_names_stay() {
        let own = schema(&[INTENT, OWN]);
        let inner = json!({ INTENT: "mine", OWN: "p" });
        for (arguments, intent, kept) in [
            (
                json!({ INTENT: "why", OWN: inner }),
                Some("why".to_owned()),
                inner.clone(),
            ),
            (
                json!({ INTENT: "mine", "q": "x" }),
                None,
                json!({ INTENT: "mine", "q": "x" }),
            ),
            (json!({ OWN: { "a": 1 } }), None, json!({ OWN: { "a": 1 } })),
        ] {
            let taken = unwrapped(&own, arguments.clone());

            assert_eq!(taken, (intent, kept), "{arguments}");
        }
    }

    #[test]
    fn what_is_no_object_stays_where_it_is() {
        let plain = schema(&["q"]);

        let taken = unwrapped(&plain, json!({ OWN: [1], INTENT: 7 }));

        assert_eq!(taken, (None, json!({ OWN: [1], INTENT: 7 })));
    }
}
