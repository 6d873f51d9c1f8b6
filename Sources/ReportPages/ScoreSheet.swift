/// A fitted additive score as a clinician reads it: points by band of each item.
package struct ScoreSheet: Hashable, Sendable {
  package struct Band: Hashable, Sendable {
    /// As a person would write it: `94 or less`.
    package var range: String
    package var points: Int
    package init(_ range: String, points: Int) {
      self.range = range
      self.points = points
    }
  }

  package struct Item: Hashable, Sendable {
    package var name: String
    package var unit: String
    package var bands: [Band]
    package init(_ name: String, unit: String = "", bands: [Band]) {
      self.name = name
      self.unit = unit
      self.bands = bands
    }
  }

  package var name: String
  package var items: [Item]
  /// When an alert starts, in words; empty: not said.
  package var threshold: String

  package init(name: String, items: [Item], threshold: String = "") {
    self.name = name
    self.items = items
    self.threshold = threshold
  }

  /// One line an item, one cell a band.
  func write(to out: inout PageText) {
    let width = items.map(\.bands.count).max() ?? 0
    guard width > 0 else { return }
    let rows = items.map { item in
      let cells = item.bands.map { "\($0.range): \($0.points)" }
      let filled = cells + [String](repeating: "", count: width - cells.count)
      return [item.unit.isEmpty ? item.name : "\(item.name), \(item.unit)"] + filled
    }
    out.table("Points of \(name)", head: ["Item"] + (1...width).map { "Band \($0)" }, rows: rows)
    let most = items.reduce(0) { $0 + max(0, $1.bands.map(\.points).max() ?? 0) }
    out.paragraph("At most \(most) points." + (threshold.isEmpty ? "" : " \(threshold)."))
  }
}
