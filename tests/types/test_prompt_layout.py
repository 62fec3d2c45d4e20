"""The layout of a prompt: stable parts first, and a key that they alone make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import items, names, texts, tool_definitions

import omnillm as o

LONG = o.PromptCacheRetention.LONG
TOOL = o.ToolDefinition("weather", {"type": "object"})
SEARCH = o.BuiltinTool(o.BuiltinToolKind.WEB_SEARCH)
CHAT = o.ProviderProtocol.OPENAI_CHAT_COMPLETIONS


def policy_of(builder: o.PromptLayoutBuilder) -> o.PromptCachePolicy:
    policy = builder.build().capabilities.prompt_cache
    assert policy is not None
    return policy


def key_of(builder: o.PromptLayoutBuilder) -> str:
    key = policy_of(builder).key
    assert key is not None
    assert key.value is not None
    return key.value


CALLS: list[Callable[[o.PromptLayoutBuilder], Any]] = [
    lambda to: to.stable_message(o.Message.system("Examples.")),
    lambda to: to.dynamic_rag_context("Found."),
    lambda to: to.instructions("Be kind."),
    lambda to: to.user_input("So?"),
    lambda to: to.stable_prefix_cache_key("app", "tenant"),
]


@pytest.mark.parametrize("order", list(permutations(range(len(CALLS)))))
def test_stable_parts_come_first_in_whatever_order_of_calls(order: tuple[int, ...]) -> None:
    """The dynamic ones keep their own order, and the key is the same."""
    builder = o.PromptLayoutBuilder("m").tool(TOOL)
    for at in order:
        CALLS[at](builder)
    request = builder.build()
    dynamic = {1: o.Message.user("Found."), 3: o.Message.user("So?")}
    assert request.input == (o.Message.system("Examples."), *(dynamic[at] for at in order if at in dynamic))
    assert request.instructions == "Be kind."
    alone = o.PromptLayoutBuilder("m").tool(TOOL).instructions("Be kind.").stable_message(o.Message.system("Examples."))
    assert key_of(builder) == key_of(alone.stable_prefix_cache_key("app", "tenant"))


def test_a_layout_says_all_that_was_given() -> None:
    """Every call has its place in the request; a text is the user's."""
    generation = o.GenerationConfig(5)
    builder = (
        o.PromptLayoutBuilder("m")
        .dynamic_message(o.Message.assistant("Hi."))
        .tool(TOOL)
        .tool(SEARCH)
        .stable_message("Read this.")
        .generation(generation)
    )
    assert builder.build() == o.LlmRequest(
        "m",
        [o.Message.user("Read this."), o.Message.assistant("Hi.")],
        capabilities=o.CapabilitySet((TOOL,), builtin_tools=(SEARCH,)),
        generation=generation,
    )
    assert builder.build() == builder.build()


@dataclass(frozen=True)
class Layout:
    """What a layout is made of."""

    model: str = "m"
    instructions: str = ""
    tools: tuple[Any, ...] = ()
    stable: tuple[Any, ...] = ()
    namespace: str = "app"
    tenant: str | None = None
    dynamic: tuple[Any, ...] = ()
    generation: o.GenerationConfig | None = None
    retention: o.PromptCacheRetention = o.PromptCacheRetention.SHORT
    required: bool = False

    def key(self) -> str:
        builder = o.PromptLayoutBuilder(self.model).instructions(self.instructions)
        for tool in self.tools:
            builder.tool(tool)
        for item in self.dynamic:
            builder.dynamic_message(item)
        if self.generation is not None:
            builder.generation(self.generation)
        for item in self.stable:
            builder.stable_message(item)
        return key_of(builder.stable_prefix_cache_key(self.namespace, self.tenant, self.retention, self.required))


layouts = st.builds(
    Layout,
    names,
    texts,
    st.lists(tool_definitions, max_size=2).map(tuple),
    st.lists(items, max_size=2).map(tuple),
    names,
    st.none() | names,
)
DYNAMIC = st.fixed_dictionaries(
    {
        "dynamic": st.lists(items, max_size=2).map(tuple),
        "generation": st.builds(o.GenerationConfig, st.integers(1, 9)),
        "retention": st.sampled_from(o.PromptCacheRetention),
        "required": st.booleans(),
    }
)


@given(layouts, DYNAMIC)
def test_nothing_dynamic_touches_the_key(layout: Layout, dynamic: dict[str, Any]) -> None:
    """What is said in this conversation, how it is generated and how long it is kept leave the key."""
    assert replace(layout, **dynamic).key() == layout.key()


CHANGES: list[Callable[[Layout], Layout]] = [
    lambda it: replace(it, model=it.model + "x"),
    lambda it: replace(it, instructions=it.instructions + "x"),
    lambda it: replace(it, tools=(*it.tools, TOOL)),
    lambda it: replace(it, tools=(SEARCH, *it.tools)),
    lambda it: replace(it, stable=(*it.stable, "x")),
    lambda it: replace(it, stable=(o.Message.system("x"), *it.stable)),
    lambda it: replace(it, namespace=it.namespace + "x"),
    lambda it: replace(it, tenant=(it.tenant or "") + "x"),
]


@given(layouts, st.sampled_from(CHANGES))
def test_anything_stable_changes_the_key(layout: Layout, change: Callable[[Layout], Layout]) -> None:
    """The model, the instructions, tools, stable messages, the namespace and the tenant are all in the key."""
    assert change(layout).key() != layout.key()


@given(layouts, names, names)
def test_two_tenants_never_share_a_key(layout: Layout, one: str, other: str) -> None:
    """Keys are the same where the tenants are, and nowhere else; no name of a tenant runs into the namespace."""
    keys = {replace(layout, tenant=tenant).key() for tenant in (one, other, None)}
    assert len(keys) == len({one, other, None})
    joined = replace(layout, namespace=one + other, tenant=None).key()
    assert joined != replace(layout, namespace=one, tenant=other).key()


def test_equal_schemas_make_one_key() -> None:
    """The order of a schema's fields is no difference."""
    one, other = {"type": "object", "title": "a"}, {"title": "a", "type": "object"}
    assert Layout(tools=(o.ToolDefinition("f", one),)).key() == Layout(tools=(o.ToolDefinition("f", other),)).key()


ENDS: list[tuple[Callable[[o.PromptLayoutBuilder], Any], o.CacheBreakpoint]] = [
    (lambda to: to, o.CacheBreakpoint.auto()),
    (lambda to: to.tool(SEARCH), o.CacheBreakpoint.end_of_tools()),
    (lambda to: to.tool(TOOL).instructions("Be kind."), o.CacheBreakpoint.end_of_instructions()),
    (lambda to: to.instructions("Be kind.").stable_message("a").stable_message("b"), o.CacheBreakpoint.end_of_message(1)),
]


@pytest.mark.parametrize(("prepare", "end"), ENDS)
def test_the_prefix_ends_with_the_stable_parts(prepare: Callable[[o.PromptLayoutBuilder], Any], end: o.CacheBreakpoint) -> None:
    """A best effort marks where the stable parts end; a required key leaves it to those that find it themselves."""
    builder = o.PromptLayoutBuilder("m").user_input("So?").stable_prefix_cache_key("app", retention=LONG)
    prepare(builder)
    policy = policy_of(builder)
    assert (policy.mode, policy.retention, policy.breakpoint) == ("best_effort", LONG, end)
    required = policy_of(builder.stable_prefix_cache_key("app", required=True))
    assert (required.mode, required.breakpoint) == ("required", o.CacheBreakpoint.auto())
    assert required.key == policy.key


def test_a_policy_and_a_key_are_one() -> None:
    """The key is laid over the policy given, in either order: the stricter mode, the breakpoint and the retention stay."""
    end = o.CacheBreakpoint.end_of_message(0)
    given_policy = o.PromptCachePolicy.required(retention=LONG, breakpoint=end)
    one = o.PromptLayoutBuilder("m").prompt_cache(given_policy).stable_prefix_cache_key("app")
    other = o.PromptLayoutBuilder("m").stable_prefix_cache_key("app").prompt_cache(given_policy)
    assert policy_of(one) == policy_of(other)
    assert (policy_of(one).mode, policy_of(one).retention, policy_of(one).breakpoint) == ("required", LONG, end)


@pytest.mark.parametrize(
    "policy", [o.PromptCachePolicy.disabled(), o.PromptCachePolicy.best_effort(key=o.PromptCacheKey.explicit("k"))]
)
def test_a_policy_alone_stays_as_it_is(policy: o.PromptCachePolicy) -> None:
    """Without a hash to make there is nothing to add, and what is forbidden stays so."""
    builder = o.PromptLayoutBuilder("m").prompt_cache(policy)
    assert policy_of(builder) == policy
    if policy.mode == "disabled":
        assert policy_of(builder.stable_prefix_cache_key("app")) == policy


def test_a_hash_asked_for_by_the_policy_is_that_of_the_layout() -> None:
    """It is made as ``stable_prefix_cache_key`` makes it, and is what goes out; without stable messages emission agrees."""
    policy = o.PromptCachePolicy.best_effort(key=o.PromptCacheKey.stable_prefix_hash("app", "t"))
    builder = o.PromptLayoutBuilder("m").instructions("Be kind.").tool(TOOL).user_input("So?").prompt_cache(policy)
    key = key_of(builder)
    assert key == Layout(instructions="Be kind.", tools=(TOOL,), tenant="t").key()
    request = builder.build()
    assert o.emit_request(CHAT, request)["prompt_cache_key"] == key
    by_hand = replace(request, capabilities=replace(request.capabilities, prompt_cache=policy))
    assert o.emit_request(CHAT, by_hand)["prompt_cache_key"] == key
    stable = key_of(builder.stable_message("Read this."))
    assert o.emit_request(CHAT, builder.build())["prompt_cache_key"] == stable != key
    assert o.LlmRequest.from_json(builder.build().to_json()) == builder.build()


def test_a_typed_function_is_a_tool_here_too() -> None:
    """Its definition stands in the prefix."""

    @o.tool
    def look(city: str) -> str:
        return city

    assert o.PromptLayoutBuilder("m").tool(look).build().capabilities.tools == (look.definition,)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda to: to.tool("f"), "tool"),
        (lambda to: to.stable_message(7), "stable_message"),
        (lambda to: to.dynamic_message(None), "dynamic_message"),
        (lambda to: to.user_input(o.TextPart("a")), "user_input"),
        (lambda to: to.dynamic_rag_context(["a"]), "dynamic_rag_context"),
        (lambda to: to.stable_prefix_cache_key(""), "namespace"),
        (lambda to: to.stable_prefix_cache_key("app", 7), "tenant_scope"),
        (lambda to: to.stable_prefix_cache_key("app", ""), "tenant_scope"),
        (lambda to: to.instructions(7), "instructions"),
        (lambda to: to.generation({}), "generation"),
        (lambda to: to.prompt_cache("auto"), "prompt_cache"),
        (lambda to: to.stable_prefix_cache_key("app", "t", "a week"), "retention"),
        (lambda _: o.PromptLayoutBuilder(7), "model"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_value_is_named(call: Callable[[Any], Any], field: str) -> None:
    """What is no tool, message or name is refused with its field."""
    with pytest.raises(o.ConfigurationError) as caught:
        call(o.PromptLayoutBuilder("m"))
    assert caught.value.field == field
