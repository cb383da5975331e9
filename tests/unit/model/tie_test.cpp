#include "lib/model/tie.hpp"

#include <gtest/gtest.h>

namespace crossfade::model {
namespace {

TEST(tie, is_one_that_lacks_a_column_of_the_identity) {
    const tie primary{"pkey", {"id"}};
    const tie wider{"wider", {"code", "id", ""}};
    const tie code{"code_key", {"code"}};
    const tie expression{"lower_idx", {""}};
    EXPECT_EQ(tied_by({"id"}, {}), std::nullopt);
    EXPECT_EQ(tied_by({"id"}, {primary, wider}), std::nullopt);
    EXPECT_EQ(tied_by({"id"}, {primary, code, expression}), "code_key");
    EXPECT_EQ(tied_by({"id"}, {primary, expression}), "lower_idx");
    // An identity by index makes the primary key one.
    EXPECT_EQ(tied_by({"code"}, {primary, code}), "pkey");
    EXPECT_EQ(tied_by({"id", "code"}, {wider}), std::nullopt);
    EXPECT_EQ(tied_by({"id", "code"}, {wider, primary}), "pkey");
}

TEST(tie, matters_not_where_the_identity_has_no_columns) {
    EXPECT_EQ(tied_by({}, {{"code_key", {"code"}}, {"lower_idx", {""}}}), std::nullopt);
}

}  // namespace
}  // namespace crossfade::model
