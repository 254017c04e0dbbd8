/**
 * What each shell sources. All of them ask `cowshed __complete` for what can come next, giving it the words up to the cursor; it prints one
 * candidate a line, and `:files` when the shell's own completion of file names should take over.
 */
export const completionScripts = {
  bash: `# cowshed completion for bash; put into ~/.bashrc: source <(cowshed completion bash)
_cowshed() {
  local IFS=$'\\n' line word
  local words=()
  # Bash splits words at colons; cowshed's names of images and files have them.
  if declare -F _get_comp_words_by_ref >/dev/null; then
    local cword
    _get_comp_words_by_ref -n : words cword
    words=("\${words[@]:1:cword}")
  else
    words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  fi
  word="\${words[\${#words[@]}-1]}"
  COMPREPLY=()
  while read -r line; do
    if [[ "$line" == :files ]]; then
      compopt -o default
    else
      COMPREPLY+=("$line")
    fi
  done < <(cowshed __complete -- "\${words[@]}" 2>/dev/null)
  if declare -F __ltrim_colon_completions >/dev/null; then
    __ltrim_colon_completions "$word"
  fi
  if [[ \${#COMPREPLY[@]} -eq 1 && "\${COMPREPLY[0]}" == *: ]]; then
    compopt -o nospace
  fi
}
complete -F _cowshed cowshed
`,
  zsh: `#compdef cowshed
# cowshed completion for zsh; put into ~/.zshrc: source <(cowshed completion zsh)
_cowshed() {
  local -a candidates
  local line files=0
  while IFS= read -r line; do
    if [[ "$line" == :files ]]; then
      files=1
    else
      candidates+=("$line")
    fi
  done < <(cowshed __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( \${#candidates} )) && compadd -- "\${candidates[@]}"
  (( files )) && _files
}
compdef _cowshed cowshed
`,
  fish: `# cowshed completion for fish; put into ~/.config/fish/config.fish: cowshed completion fish | source
function __cowshed_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in (cowshed __complete -- $words[2..-1] 2>/dev/null)
    if test "$line" = :files
      __fish_complete_path (commandline -ct)
    else
      echo $line
    end
  end
end
complete -c cowshed -f -a '(__cowshed_complete)'
`,
} as const
