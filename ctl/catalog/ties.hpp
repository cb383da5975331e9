#pragma once

#include <string>
#include <vector>

#include "ctl/catalog/facts.hpp"

namespace crossfade::ctl::catalog {

struct tied_table {
    model::table_name name;
    std::string constraint;
    std::string side;  // "legacy" or "modern": whose constraint it is
};

// Legacy's tables that a stream ordered by key would have in several partitions although a constraint, theirs or that
// of modern's table of the same name, ties their rows: REPLICA IDENTITY FULL keeps them together. Pure.
std::vector<tied_table> tied_tables(const std::vector<table>& legacy, const std::vector<table>& modern);

// "public.orders (orders_email_key on modern)"
std::string to_string(const tied_table& of);

}  // namespace crossfade::ctl::catalog
