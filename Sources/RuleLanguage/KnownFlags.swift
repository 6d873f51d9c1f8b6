import VitalModel
import YAMLText

/// The flags patients may carry (`flags.yaml` of a rule directory): a misspelt one would silently be for nobody.
///
/// ```yaml
/// flags:
///   palliative: comfort care is the agreed goal
/// ```
enum KnownFlags {
  /// Path in a rule directory.
  static let path = "flags.yaml"

  /// - Returns: the names, in the order written.
  static func read(_ node: YAMLNode, _ problems: inout Problems) -> [String] {
    guard let map = YAMLMapping(node, of: path, keys: ["flags"], &problems) else { return [] }
    _ = map.requiredValue("flags", &problems)
    var names: [String] = []
    for entry in map.mapping("flags", &problems)?.entries ?? [] {
      guard let name = entry.key.scalar else { continue }
      if AdmissionState(rawValue: name) != nil {
        problems.add(entry.key, "`\(name)` is a patient's state, not a flag")
      }
      if entry.value.isNull || YAMLMapping.text(entry.value, of: name, &problems)?.isEmpty == true {
        problems.add(entry.key, "flag `\(name)` needs a text that says what it means")
      }
      names.append(name)
    }
    return names
  }

  static func unknown(_ flag: String) -> String { "unknown flag `\(flag)`: flags patients may carry stand in \(path)" }

  /// A problem where a flag is none of the known ones.
  static func check(_ flag: String, _ node: YAMLNode, among known: [String]?, _ problems: inout Problems) {
    guard let known, !known.contains(flag) else { return }
    problems.add(node, unknown(flag), suggestion: Suggestion.nearest(flag, among: known))
  }
}
