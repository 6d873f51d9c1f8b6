/// An expression of the rule language as the input of a score's component: one number, judged by the engine's own machine.
package struct ScoreExpression: Hashable, Sendable {
  /// Gives a number; reads ``features`` and the patient's age, no parameters and no scores.
  package var program: Program
  package var features: [Feature]
  /// Its bands are of steps of 10^`exponent` of the expression's unit (milliseconds for a length of time).
  package var exponent: Int
  /// The program as versions hash it: layout and spelling do not reach it.
  package var canonicalText: String

  package init(program: Program, features: [Feature], exponent: Int, canonicalText: String) {
    self.program = program
    self.features = features
    self.exponent = exponent
    self.canonicalText = canonicalText
  }

  /// Every vital it reads, without duplicates.
  package var codes: [VitalCode] {
    features.compactMap(\.code).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }

  package var asksAge: Bool {
    program.instructions.contains { $0 == .attribute(.age) || $0 == .attribute(.ageMonths) }
  }

  /// Whether newest values are not enough to compute it.
  package var needsHistory: Bool {
    features.contains { $0.kind != .last && $0.kind != .newest }
  }

  /// Beyond this many steps, either way, a number stands in the outermost band.
  package static let gridMax = 1e15

  /// A number in steps of 10^`exponent`, rounded half up; nil for NaN. Binary arithmetic leaves 0.15 x 10 a little beside
  /// 1.5: what lies within a billionth of a half step counts as on it.
  package static func grid(_ value: Double, exponent: Int) -> Int64? {
    if value.isNaN { return nil }
    let power = Double(DecimalValue.powerOfTen(min(abs(exponent), 18)))
    var steps = exponent < 0 ? value * power : value / power
    if abs(steps) >= gridMax { return Int64(steps < 0 ? -gridMax : gridMax) }
    let halves = (steps * 2).rounded()
    if abs(steps * 2 - halves) <= 1e-9 * max(1, abs(halves)) { steps = halves / 2 }
    return Int64((steps + 0.5).rounded(.down))
  }
}
