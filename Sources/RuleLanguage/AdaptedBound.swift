/// A bound of a limit that follows the patient: `adapt.limit.floor`.
package struct AdaptedBound: Hashable, Sendable, Comparable, CustomStringConvertible {
  package enum Side: String, Sendable, CaseIterable {
    case floor, ceiling
  }

  package var parameter: String
  package var side: Side

  package init(parameter: String, side: Side) {
    self.parameter = parameter
    self.side = side
  }

  /// - Returns: nil: the text is no such name.
  package init?(_ text: String) {
    let words = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard words.count == 3, words[0] == "adapt", let side = Side(rawValue: words[2]) else { return nil }
    self.init(parameter: words[1], side: side)
  }

  package static func < (a: AdaptedBound, b: AdaptedBound) -> Bool { a.description < b.description }
  package var description: String { "adapt.\(parameter).\(side.rawValue)" }
}
