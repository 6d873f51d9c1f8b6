import VitalModel

/// What a part of an expression is: a condition, or a number with what its unit allows.
enum ValueType: Equatable {
  case truth
  /// A bare number: fits any unit but a duration.
  case plain
  /// Milliseconds.
  case duration
  case quantity(Quantity)

  /// For messages and the typed tree.
  var text: String {
    switch self {
    case .truth: "condition"
    case .plain: "number"
    case .duration: "duration"
    case .quantity(let quantity): quantity.text
    }
  }

  var quantity: Quantity? {
    guard case .quantity(let quantity) = self else { return nil }
    return quantity
  }
}

/// A unit, and the vital it came from, so that numbers in its other units can be converted.
struct Quantity: Equatable {
  /// How a number of the vital's unit became this one.
  enum Form: Equatable {
    case absolute, difference, perMinute, minutes
    /// Product or quotient of two units.
    case derived
  }
  /// UCUM code.
  var text: String
  var vital: VitalCode?
  var form = Form.absolute

  /// UCUM counts annotations such as `{score}` as the unit 1.
  var isOne: Bool { text == "1" || text.hasPrefix("{") && text.hasSuffix("}") }

  static let one = Quantity(text: "1")

  /// The same unit as a distance between two values: 1.8 [degF] apart, not 1.8 [degF] high.
  var asDifference: Quantity {
    var copy = self
    if form == .absolute { copy.form = .difference }
    return copy
  }

  /// Whether two numbers may be added and compared.
  func fits(_ other: Quantity, _ registry: VitalRegistry) -> Bool {
    if text == other.text { return true }
    if text == "1" && other.isOne || isOne && other.text == "1" { return true }
    if form == .derived && other.isOne || isOne && other.form == .derived { return true }
    return isSameScale(other.text, registry) || other.isSameScale(text, registry)
  }

  /// Whether `unit` is another name of this quantity's unit (`{beat}/min` for `/min`).
  private func isSameScale(_ unit: String, _ registry: VitalRegistry) -> Bool {
    guard let vital, let base = base(of: unit) else { return false }
    return registry[vital].units.contains {
      $0.unit == base && $0.numerator == $0.denominator && $0.offset.mantissa == 0
    }
  }

  /// The vital's unit in `unit`, which carries this quantity's ending (`/min`, `.min`).
  func base(of unit: String) -> String? {
    switch form {
    case .absolute, .difference: return unit
    case .perMinute: return unit.hasSuffix("/min") ? String(unit.dropLast(4)) : nil
    case .minutes: return unit.hasSuffix(".min") ? String(unit.dropLast(4)) : nil
    case .derived: return nil
    }
  }

  /// A number written in `unit` as one in this quantity's unit; nil if the unit does not belong to it.
  ///
  /// Values convert as samples do (SEMANTICS A5): exactly, then half up to the vital's resolution, so that a limit of
  /// 3.9 mmol/L and a sample of 3.9 mmol/L are equal. Differences, rates and areas convert exactly.
  func converted(_ value: DecimalValue, from unit: String, _ registry: VitalRegistry) -> Double? {
    if unit == text || Quantity(text: unit).isOne && isOne { return value.double }
    if isOne, unit == "%" { return value.double / 100 }
    guard let vital, let base = base(of: unit),
      let index = registry[vital].units.firstIndex(where: { $0.unit == base })
    else { return nil }
    let conversion = registry[vital].units[index]
    if conversion.numerator == conversion.denominator, conversion.offset.mantissa == 0 { return value.double }
    guard form == .absolute else {
      return value.double * Double(conversion.numerator) / Double(conversion.denominator)
    }
    return registry[vital].gridValue(value, unitIndex: index).map { registry[vital].decimal(grid: $0).double }
  }
}
