# shellcheck shell=bash disable=SC2154,SC2034 # what is shared is set in script/demo
# What the demo says, and how. Colours and the refreshed line only on a terminal.

if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' blue=$'\e[34m' plain=$'\e[0m' interactive=1
else
    bold='' dim='' green='' red='' blue='' plain='' interactive=''
fi

step_number=0

# step TITLE WHY: a numbered step of the story.
step() {
    step_number=$((step_number + 1))
    printf '\n%s%d. %s%s\n' "$bold$blue" "$step_number" "$1" "$plain"
    [[ -z ${2:-} ]] || printf '%s\n' "$2" | fold -s -w 110 | sed "s/^/   $dim/; s/\$/$plain/"
}

say() { printf '   %s\n' "$*"; }
good() { printf '   %s✔%s %s\n' "$green" "$plain" "$*"; }
bad() { printf '   %s✘%s %s\n' "$red" "$plain" "$*"; }

# Shows standard input as what a command printed, lines cut to what fits.
quoted() { sed -E "s/^(.{150}).+/\\1…/; s/^/     $dim│$plain /"; }

# run COMMAND...: shows the command as an operator would type it, and its answer: the lines that match $shown, where it is
# set. Fails as the command does.
run() {
    printf '   %s$ %s%s\n' "$bold" "${*/#$bin\//}" "$plain"
    local answer=0
    "$@" >"$work/answer" 2>&1 || answer=$?
    grep -E "${shown:-}" "$work/answer" | quoted
    return "$answer"
}

die() {
    printf '\n%s✘ %s%s\n' "$red" "$*" "$plain" >&2
    exit 1
}
