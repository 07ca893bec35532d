"""What of CUDA C++ the translation does not take, construct by construct, with the reason.

Rules: tables. A kind of node that stands in none of them is refused too, by its own name: what is
not understood is not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Casts by their C++ names, which look like calls of templates.
CASTS: Final = frozenset({"static_cast", "reinterpret_cast", "const_cast"})

# Nodes that mean what their parts mean, in both languages.
_PLAIN: Final = """
abstract_array_declarator abstract_parenthesized_declarator abstract_pointer_declarator
abstract_reference_declarator access_specifier alignas_qualifier alignof_expression
argument_list array_declarator assignment_expression attribute attribute_declaration
attributed_statement auto base_class_clause binary_expression break_statement
call_expression case_statement cast_expression char_literal character comma_expression
compound_literal_expression concatenated_string condition_clause conditional_expression
continue_statement declaration_list decltype default_method_clause delete_method_clause
do_statement else_clause escape_sequence explicit_function_specifier expression_statement
false field_declaration_list field_designator field_initializer field_initializer_list
goto_statement init_declarator init_statement initializer_list initializer_pair
labeled_statement launch_bounds noexcept null number_literal parameter_list
parenthesized_declarator parenthesized_expression placeholder_type_specifier
pointer_declarator pointer_expression pointer_type_declarator preproc_arg preproc_call
preproc_directive primitive_type reference_declarator return_statement sized_type_specifier
sizeof_expression statement_identifier static_assert_declaration storage_class_specifier
string_content string_literal subscript_argument_list subscript_designator
subscript_expression template_argument_list template_parameter_list this
trailing_return_type translation_unit true type_descriptor type_qualifier unary_expression
update_expression
"""
PLAIN: Final = frozenset(_PLAIN.split())

# Nodes that are valid CUDA C++ and not taken: what a program's author calls them, and why.
REFUSED_NODES: Final[Mapping[str, str]] = {
    "kernel_call_syntax": "<<<...>>>: a kernel that launches kernels is not possible here",
    "gnu_asm_expression": "asm: inline PTX has no meaning here",
    "new_expression": "new: there is no heap in a kernel here",
    "delete_expression": "delete: there is no heap in a kernel here",
    "try_statement": "try: there are no exceptions in kernels",
    "throw_statement": "throw: there are no exceptions in kernels",
    "virtual_specifier": "virtual functions: there are no pointers to functions here",
    "virtual": "virtual functions: there are no pointers to functions here",
    "friend_declaration": "friend declarations are not taken",
    "destructor_name": "destructors are not taken",
    "bitfield_clause": "bit fields are not taken",
    "abstract_function_declarator": "pointers to functions: there are none here",
    "variadic_parameter_declaration": "variadic templates are not taken",
    "variadic_type_parameter_declaration": "variadic templates are not taken",
    "parameter_pack_expansion": "variadic templates are not taken",
    "fold_expression": "variadic templates are not taken",
    "template_template_parameter_declaration": "templates as template parameters are not taken",
    "requires_clause": "concepts are not taken",
    "requires_expression": "concepts are not taken",
    "concept_definition": "concepts are not taken",
    "user_defined_literal": "user-defined literals are not taken",
    "raw_string_literal": "raw string literals are not taken",
    "operator_cast": "conversion operators are not taken",
    "structured_binding_declarator": "structured bindings are not taken",
    "co_await_expression": "coroutines are not taken",
    "co_return_statement": "coroutines are not taken",
    "co_yield_statement": "coroutines are not taken",
    "offsetof_expression": "offsetof is not taken",
}

# Words before a declaration that change what it means in a way not taken.
REFUSED_WORDS: Final[Mapping[str, str]] = {
    "__managed__": "__managed__: memory that host and kernel share at once is not possible here",
    "__grid_constant__": "__grid_constant__ is not taken",
    "virtual": "virtual functions: there are no pointers to functions here",
    "thread_local": "thread_local is not taken",
    "mutable": "mutable is not taken",
    "wchar_t": "wchar_t is not taken",
    "char16_t": "char16_t is not taken",
    "char32_t": "char32_t is not taken",
    "__int128": "__int128 is not taken",
    "__cluster_dims__": "thread block clusters are not taken",
}

# Attributes that say nothing a translation must know, and those it passes on.
ATTRIBUTES: Final = frozenset({"aligned", "maybe_unused", "unused", "nodiscard", "fallthrough"})

# What the plain OpenCL C 1.2 of a unit cannot say, although C++ for OpenCL can.
REFUSED_IN_C: Final[Mapping[str, str]] = {
    "lambda_expression": "lambda expressions",
    "for_range_loop": "range-based for loops",
    "namespace_definition": "namespaces",
    "namespace_alias_definition": "namespaces",
    "using_declaration": "using declarations",
    "base_class_clause": "inheritance",
    "access_specifier": "classes with access specifiers",
    "class_specifier": "classes",
    "decltype": "decltype",
    "dependent_type": "dependent types",
    "operator_name": "operators of one's own",
    "field_initializer_list": "constructors",
    "template_type": "class templates",
    "init_statement": "if and switch with an initializer",
    "this": "member functions",
}
