//! What do the fields of a struct or variant become: a pattern, a value, a tuple, a description?

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Member, Type};

use crate::attributes;
use crate::errors::Errors;

/// rkyv has tuples of up to thirteen. Beyond twelve fields, groups of twelve are tuples in a tuple.
const GROUP: usize = 12;

/// The fields of a struct or of a variant.
pub(crate) struct Fields {
    list: Vec<Field>,
    is_named: bool,
    is_unit: bool,
}

struct Field {
    member: Member,
    ty: Type,
    /// What it is called in patterns.
    local: Ident,
}

impl Field {
    /// Its type, as that of a part. Where it is none, rustc points at it, and says nothing more about it.
    fn part(&self) -> TokenStream {
        let ty = &self.ty;
        let place = ty.span().resolved_at(Span::call_site());
        quote_spanned!(place=> __event::This<#ty>)
    }
}

impl Fields {
    pub(crate) fn of(fields: &syn::Fields, attribute: &str, errors: &mut Errors) -> Self {
        let mut list = Vec::new();
        for (at, field) in fields.iter().enumerate() {
            let none = format!("a field has no options: `#[{attribute}(…)]` belongs on a type or a variant");
            attributes::none(&field.attrs, attribute, &none, errors);
            owned(&field.ty, errors);
            let member = field.ident.clone().map_or_else(|| Member::from(at), Member::Named);
            let local = Ident::new(&format!("field_{at}"), Span::mixed_site());
            list.push(Field { member, ty: field.ty.clone(), local });
        }
        Self {
            list,
            is_named: matches!(fields, syn::Fields::Named(_)),
            is_unit: matches!(fields, syn::Fields::Unit),
        }
    }

    pub(crate) fn is_named(&self) -> bool {
        self.is_named
    }

    pub(crate) fn is_unit(&self) -> bool {
        self.is_unit
    }

    /// `{ cents: field_0, at: field_1 }`: a pattern behind a path and, of the same fields, a value.
    pub(crate) fn braces(&self) -> TokenStream {
        let (members, locals) = (self.list.iter().map(|it| &it.member), self.list.iter().map(|it| &it.local));
        quote!({ #(#members: #locals),* })
    }

    /// The fields as a type.
    pub(crate) fn tuple_type(&self) -> TokenStream {
        self.tuple(|field| field.ty.to_token_stream())
    }

    /// The fields as a pattern.
    pub(crate) fn tuple_pattern(&self) -> TokenStream {
        self.tuple(|field| field.local.to_token_stream())
    }

    /// References to the fields, which are written as the fields themselves would be.
    pub(crate) fn tuple_of_refs(&self) -> TokenStream {
        self.tuple(|Field { local, .. }| quote!(__event::Ref(#local)))
    }

    /// The archived form of the tuple. By its own name, because an `impl` for what a trait says it is could be one for any type.
    pub(crate) fn archived_tuple(&self) -> TokenStream {
        let part = |field: &Field| {
            let ty = field.part();
            quote!(<#ty as __event::rkyv::Archive>::Archived)
        };
        self.grouped(part, |group| {
            let name = format_ident!("ArchivedTuple{}", group.len());
            quote!(__event::rkyv::tuple::#name<#(#group),*>)
        })
    }

    fn tuple(&self, part: impl Fn(&Field) -> TokenStream) -> TokenStream {
        self.grouped(part, |group| quote!((#(#group,)*)))
    }

    fn grouped(
        &self,
        part: impl Fn(&Field) -> TokenStream,
        tuple: impl Fn(&[TokenStream]) -> TokenStream,
    ) -> TokenStream {
        let mut parts: Vec<_> = self.list.iter().map(part).collect();
        while parts.len() > GROUP {
            parts = parts.chunks(GROUP).map(&tuple).collect();
        }
        if parts.is_empty() { quote!(()) } else { tuple(&parts) }
    }

    /// A function that describes the fields.
    pub(crate) fn description(&self) -> TokenStream {
        let parts = self.list.iter().map(|Field { ty, .. }| {
            // Where a type cannot be a part, rustc points at it.
            let place = ty.span().resolved_at(Span::call_site());
            quote_spanned!(place=> __event::Shape::part::<#ty>)
        });
        if self.is_named {
            let names = self.list.iter().map(|field| match &field.member {
                Member::Named(name) => name.unraw().to_string(),
                Member::Unnamed(index) => index.index.to_string(),
            });
            quote!(|shape| __event::Shape::fields(shape, &[#((#names, #parts)),*]))
        } else {
            quote!(|shape| __event::Shape::tuple(shape, &[#(#parts),*]))
        }
    }

    /// The fields of a type of the same form, with an attribute on each.
    pub(crate) fn declared(&self, attribute: &TokenStream) -> TokenStream {
        let types = self.list.iter().map(Field::part);
        if self.is_unit {
            TokenStream::new()
        } else if self.is_named {
            let members = self.list.iter().map(|it| &it.member);
            quote!({ #(#attribute #members: #types),* })
        } else {
            quote!((#(#attribute #types),*))
        }
    }
}

/// Checks that a type written like this can be stored. What it really is, the trait `Schema` decides.
fn owned(ty: &Type, errors: &mut Errors) {
    match ty {
        Type::Reference(reference) => {
            let written = reference.elem.to_token_stream().to_string();
            let instead = match written.as_str() {
                "str" => "String".to_owned(),
                other => match other.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
                    Some(element) if !element.contains(';') => format!("Vec<{}>", element.trim()),
                    _ => other.to_owned(),
                },
            };
            errors.at(ty, format!("an event outlives the program and cannot borrow: write `{instead}`"));
        }
        Type::Ptr(_) | Type::FnPtr(_) => {
            errors.at(ty, "an address means nothing to another program: store the value itself");
        }
        Type::TraitObject(_) | Type::ImplTrait(_) => {
            errors.at(ty, "a journal has to know what it holds: write an enum of the types that it can be");
        }
        _ => {}
    }
}

/// A name for something that is generated beside the type.
pub(crate) fn beside(prefix: &str, ident: &Ident) -> Ident {
    format_ident!("{prefix}{}", ident.unraw(), span = Span::call_site())
}
