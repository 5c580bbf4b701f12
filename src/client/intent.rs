//! Asking a model why it calls a tool (`model_intent`): the schema that asks, and the arguments without
//! the answer. Pure.

use serde_json::{Map, Value, json};

/// The member that holds the reason.
const INTENT: &str = "model_intent";
/// The member that holds the tool's own arguments.
const OWN: &str = "properties";

/// The longest reason that is told, in characters.
const LONGEST: usize = 300;

/// A call as a model made it, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Unwrapped {
    /// Why it is made, if the model said so: one line for people, of at most 300 characters.
    pub intent: Option<String>,
    /// The arguments for the tool.
    pub arguments: Map<String, Value>,
}

/// A tool's input schema, wrapped so that a call has to say why it is made: an object of `model_intent`, a
/// text, and `properties`, the tool's own arguments. What the schema refers to within itself is found where it
/// is now: its definitions beside the wrapping, all else below it.
pub fn wrap(schema: &Value) -> Value {
    let mut own = schema.clone();
    // A schema with an identifier of its own is what its pointers are about.
    let moved = own.get("$id").is_none();
    let mut wrapped = json!({
        "type": "object",
        "properties": {
            INTENT: {
                "type": "string",
                "description": "Why this tool is called: one short sentence for the user.",
            },
        },
        "required": [INTENT, OWN],
        "additionalProperties": false,
    });
    if moved {
        own = rebased(&own);
        for definitions in DEFINITIONS {
            if let Some(held) = own.as_object_mut().and_then(|own| own.remove(definitions)) {
                wrapped[definitions] = held;
            }
        }
    }
    wrapped["properties"][OWN] = own;
    wrapped
}

/// Where schemas keep what they refer to.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];
/// Members whose values are no schemas, whatever they look like.
const DATA: [&str; 5] = ["const", "enum", "default", "example", "examples"];
/// Members that hold schemas by names of somebody's choice.
const BY_NAME: [&str; 5] = [
    "properties",
    "patternProperties",
    "dependentSchemas",
    DEFINITIONS[0],
    DEFINITIONS[1],
];

/// A schema whose pointers into itself lead to where it is in the wrapping.
fn rebased(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                let value = match (name.as_str(), value) {
                    ("$ref" | "$dynamicRef", Value::String(to)) => Value::String(moved(to)),
                    (name, _) if DATA.contains(&name) => value.clone(),
                    (name, Value::Object(named)) if BY_NAME.contains(&name) => {
                        let one =
                            |(name, schema): (&String, &Value)| (name.clone(), rebased(schema));
                        Value::Object(named.iter().map(one).collect())
                    }
                    _ => rebased(value),
                };
                (name.clone(), value)
            };
            Value::Object(members.iter().map(member).collect())
        }
        Value::Array(entries) => Value::Array(entries.iter().map(rebased).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}

/// A reference (RFC 6901, section 6) as it is from within the wrapping.
fn moved(to: &str) -> String {
    let hoisted = |to: &str| {
        DEFINITIONS.iter().any(|held| {
            let rest = to.strip_prefix("#/").and_then(|to| to.strip_prefix(held));
            rest.is_some_and(|rest| rest.starts_with('/'))
        })
    };
    match to.strip_prefix('#') {
        Some(rest) if !hoisted(to) && (rest.is_empty() || rest.starts_with('/')) => {
            format!("#/properties/{OWN}{rest}")
        }
        Some(_) | None => to.to_owned(),
    }
}

/// The arguments of a call under a wrapped schema, in the shapes that models write: as the schema says; flat,
/// the reason beside the tool's own arguments; and without any wrapping. A text in the place of an object is
/// read as JSON, and nothing in its place as an empty one. The reason never goes to the tool, but where the tool has an argument of
/// that very name, by its own `schema`, and the shape does not tell them apart.
pub fn unwrap(schema: &Value, arguments: &Map<String, Value>) -> Unwrapped {
    let owns = |name: &str| schema["properties"].get(name).is_some();
    let mut rest = arguments.clone();
    let inner = rest.get(OWN).and_then(object).filter(|inner| {
        let whole = rest.contains_key(INTENT) && rest.len() == 2 && fits(schema, inner);
        !owns(OWN) || whole
    });
    let Some(mut own) = inner else {
        let said = if owns(INTENT) {
            None
        } else {
            rest.remove(INTENT)
        };
        return Unwrapped {
            intent: said.as_ref().and_then(line),
            arguments: rest,
        };
    };
    rest.remove(OWN);
    let outer = rest.remove(INTENT);
    let within = if owns(INTENT) {
        None
    } else {
        own.remove(INTENT)
    };
    for (name, value) in rest {
        own.entry(name).or_insert(value);
    }
    let said = outer.as_ref().and_then(line);
    Unwrapped {
        intent: said.or_else(|| within.as_ref().and_then(line)),
        arguments: own,
    }
}

/// Whether arguments are those of a tool: all that it needs, and nothing that it does not name.
fn fits(schema: &Value, arguments: &Map<String, Value>) -> bool {
    let needed = schema["required"].as_array().into_iter().flatten();
    let mut needed = needed.filter_map(Value::as_str);
    needed.all(|name| arguments.contains_key(name))
        && arguments
            .keys()
            .all(|name| schema["properties"].get(name).is_some())
}

/// An object, the text of one, or nothing in its place.
fn object(value: &Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object.clone()),
        Value::Null => Some(Map::new()),
        Value::String(text) if text.trim().is_empty() => Some(Map::new()),
        Value::String(text) => serde_json::from_str(text).ok(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// A text as one line for people.
fn line(value: &Value) -> Option<String> {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = value.as_str()?.chars().map(plain).collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().take(LONGEST).collect();
    (!line.is_empty()).then_some(line)
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
    fn what_a_schema_refers_to_is_found_in_the_wrapping() {
        let own = json!({
            "type": "object",
            "properties": {
                "file": { "$ref": "#/$defs/File" },
                "same": { "$ref": "#/properties/file" },
                "more": { "items": { "$ref": "#" } },
                "$ref": { "type": "string" },
                "mode": { "enum": [{ "$ref": "#/x" }] },
                "away": { "$ref": "https://schemas.test/x#/y" },
            },
            "$defs": { "File": { "properties": { "of": { "$ref": "#/$defs/File" } } } },
        });

        let wrapped = wrap(&own);

        let inner = &wrapped["properties"][OWN];
        assert_eq!(inner["properties"]["file"]["$ref"], "#/$defs/File");
        assert_eq!(wrapped["$defs"], own["$defs"]);
        assert_eq!(inner.get("$defs"), None);
        let same = "#/properties/properties/properties/file";
        assert_eq!(inner["properties"]["same"]["$ref"], same);
        let all = &inner["properties"]["more"]["items"]["$ref"];
        assert_eq!(all, "#/properties/properties");
        for kept in ["$ref", "mode", "away"] {
            assert_eq!(inner["properties"][kept], own["properties"][kept], "{kept}");
        }
        for local in [&inner["properties"]["same"]["$ref"], all] {
            let to = local.as_str().unwrap().trim_start_matches('#');
            assert!(wrapped.pointer(to).is_some(), "{to}");
        }
    }

    #[test]
    fn a_schema_with_an_identifier_keeps_its_pointers() {
        let own = json!({ "$id": "https://x.test/s", "$defs": { "A": {} }, "$ref": "#/$defs/A" });

        assert_eq!(wrap(&own)["properties"][OWN], own);
    }

    #[test]
    fn every_shape_is_taken_apart() {
        let plain = schema(&["q"]);
        let why = || Some("to look".to_owned());
        for (arguments, intent) in [
            (json!({ INTENT: "to look", OWN: { "q": "x" } }), why()),
            (json!({ INTENT: "to look", OWN: "{\"q\":\"x\"}" }), why()),
            (json!({ INTENT: "to look", "q": "x" }), why()),
            (json!({ INTENT: " to\n look ", OWN: {}, "q": "x" }), why()),
            (json!({ INTENT: "to look", OWN: null, "q": "x" }), why()),
            (
                json!({ INTENT: "to look", OWN: { "q": "x" }, "q": "y" }),
                why(),
            ),
            (json!({ OWN: { INTENT: "to look", "q": "x" } }), why()),
            (json!({ INTENT: null, OWN: { "q": "x" } }), None),
            (json!({ INTENT: 7, "q": "x" }), None),
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
            (
                json!({ INTENT: "why", OWN: { "email": "e" } }),
                None,
                json!({ INTENT: "why", OWN: { "email": "e" } }),
            ),
        ] {
            let taken = unwrapped(&own, arguments.clone());

            assert_eq!(taken, (intent, kept), "{arguments}");
        }
    }

    #[test]
    fn an_argument_called_properties_is_told_from_the_wrapping_by_what_the_tool_needs() {
        let mut own = schema(&[OWN, "q"]);
        own["required"] = json!([OWN]);
        let flat = json!({ INTENT: "why", OWN: { "email": "e" } });
        let wrapped = json!({ INTENT: "why", OWN: { OWN: { "email": "e" } } });

        let why = || Some("why".to_owned());
        let kept = json!({ OWN: { "email": "e" } });
        assert_eq!(unwrapped(&own, flat), (why(), kept.clone()));
        assert_eq!(unwrapped(&own, wrapped), (why(), kept));
    }

    #[test]
    fn what_is_no_object_stays_where_it_is() {
        let plain = schema(&["q"]);

        let taken = unwrapped(&plain, json!({ OWN: [1], INTENT: 7 }));

        assert_eq!(taken, (None, json!({ OWN: [1] })));
    }

    #[test]
    fn a_reason_is_one_line_of_some_length() {
        let plain = schema(&["q"]);
        let long = "x".repeat(LONGEST + 1);

        let taken = unwrapped(&plain, json!({ INTENT: long }));
        let empty = unwrapped(&plain, json!({ INTENT: "\u{1b}\n" }));

        assert_eq!(taken.0.map(|line| line.len()), Some(LONGEST));
        assert_eq!(empty, (None, json!({})));
    }
}
