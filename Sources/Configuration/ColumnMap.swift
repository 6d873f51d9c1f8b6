import VitalModel
import YAMLText

/// How the columns of one kind of recording become vital signs (`Rules/maps/*.yaml`).
package struct ColumnMap: Hashable, Sendable {
  package struct Column: Hashable, Sendable {
    /// Registry key.
    package var key: String
    package var code: VitalCode
    /// Position in the vital's units; -1: the canonical one, or what the column's name implies.
    package var unit: Int
    /// Given to every sample of the column.
    package var source: String?

    package init(key: String, code: VitalCode, unit: Int = -1, source: String? = nil) {
      self.key = key
      self.code = code
      self.unit = unit
      self.source = source
    }
  }

  package var name: String
  /// By lower-case column name.
  package var columns: [String: Column]
  /// Lower-case names of columns known not to be vital signs.
  package var ignored: Set<String>

  package init(name: String, columns: [String: Column] = [:], ignored: Set<String> = []) {
    self.name = name
    self.columns = columns
    self.ignored = ignored
  }

  /// What a column is; nil: nobody knows, to be named in a warning.
  package enum Meaning: Hashable, Sendable {
    case vital(Column)
    case ignored
  }

  /// The map's word first, then the registry's names.
  package func meaning(of column: String, in registry: VitalRegistry) -> Meaning? {
    let name = column.lowercased()
    if let column = columns[name] { return .vital(column) }
    if ignored.contains(name) { return .ignored }
    guard let found = registry.lookup(name) else { return nil }
    return .vital(Column(key: registry[found.code].key, code: found.code, unit: found.unit))
  }

  /// Reads one map file.
  ///
  /// - Throws: every problem of the file at once.
  package static func parse(
    _ text: String, file: String, registry: VitalRegistry
  ) throws(TextProblems) -> ColumnMap {
    let root = try YAMLDocument.root(text, file: file)
    var problems = Problems(file: file)
    var map = ColumnMap(name: "")
    if let top = YAMLMapping(root, of: "map", keys: ["map", "columns", "ignore"], &problems) {
      map.name = top.requiredString("map", &problems) ?? ""
      for entry in top.mapping("columns", &problems)?.entries ?? [] {
        let name = entry.key.scalar ?? ""
        guard let column = self.column(entry.value, of: name, registry, &problems) else { continue }
        if map.columns.updateValue(column, forKey: name.lowercased()) != nil {
          problems.add(entry.key, "column `\(name)` is given twice")
        }
      }
      for node in top.list("ignore", &problems) ?? [] {
        guard let name = YAMLMapping.text(node, of: "ignore", &problems) else { continue }
        if map.columns[name.lowercased()] != nil {
          problems.add(node, "column `\(name)` is both read and ignored")
        }
        map.ignored.insert(name.lowercased())
      }
    }
    try problems.check()
    return map
  }

  private static func column(
    _ node: YAMLNode, of name: String, _ registry: VitalRegistry, _ problems: inout Problems
  ) -> Column? {
    guard let entry = YAMLMapping(node, of: "column \(name)", keys: ["key", "unit", "source"], &problems),
      let key = entry.requiredString("key", &problems)
    else { return nil }
    guard let found = registry.lookup(key) else {
      problems.add(
        entry.value("key", &problems) ?? node, "column `\(name)`: no vital sign is called `\(key)`",
        suggestion: Suggestion.nearest(key, among: registry.vitals.map(\.key)))
      return nil
    }
    let vital = registry[found.code]
    var unit = registry.lookup(name).flatMap { $0.code == found.code ? $0.unit : nil } ?? found.unit
    if let text = entry.string("unit", &problems) {
      guard let index = vital.units.firstIndex(where: { $0.unit == text }) else {
        problems.add(
          entry.value("unit", &problems) ?? node, "column `\(name)`: \(vital.key) has no unit `\(text)`",
          suggestion: Suggestion.nearest(text, among: vital.units.map(\.unit)))
        return nil
      }
      unit = index
    }
    return Column(key: vital.key, code: found.code, unit: unit, source: entry.string("source", &problems))
  }
}
