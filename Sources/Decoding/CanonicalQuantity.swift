import VitalModel

/// A number in its vital's canonical unit as an exact fraction: nothing is rounded before it is compared.
struct CanonicalQuantity {
  private let top: Int128
  private let bottom: Int128

  /// - Returns: nil if the fraction does not fit 128 bits, which is far outside every vital's limits.
  init?(_ value: DecimalValue, _ conversion: UnitConversion) {
    self.init(
      value, offset: conversion.offset, numerator: conversion.numerator, denominator: conversion.denominator)
  }

  init?(_ value: DecimalValue, offset: DecimalValue, numerator: Int64, denominator: Int64) {
    guard denominator > 0 else { return nil }
    let exponent = min(value.exponent, offset.mantissa == 0 ? 0 : offset.exponent, 0)
    guard let base = CanonicalQuantity.shifted(value, to: exponent),
      let shift = CanonicalQuantity.shifted(offset, to: exponent)
    else { return nil }
    let (product, overflow) = (base + shift).multipliedReportingOverflow(by: Int128(numerator))
    guard !overflow else { return nil }
    top = product
    bottom = Int128(denominator) * Int128(DecimalValue.powerOfTen(Int(-exponent)))
  }

  /// A number that is in the canonical unit already.
  init?(canonical value: DecimalValue) {
    self.init(value, offset: DecimalValue(mantissa: 0), numerator: 1, denominator: 1)
  }

  private static func shifted(_ value: DecimalValue, to exponent: Int8) -> Int128? {
    if value.mantissa == 0 { return 0 }
    let shift = Int(value.exponent) - Int(exponent)
    guard (0...18).contains(shift) else { return nil }
    return Int128(value.mantissa) * Int128(DecimalValue.powerOfTen(shift))
  }

  var isZero: Bool { top == 0 }

  static func < (a: CanonicalQuantity, b: CanonicalQuantity) -> Bool {
    // Cross products need up to 256 bits.
    let left = a.top.multipliedFullWidth(by: b.bottom)
    let right = b.top.multipliedFullWidth(by: a.bottom)
    return (left.high, left.low) < (right.high, right.low)
  }
}

extension DecimalValue {
  /// The exact sum, or nil if it cannot be held.
  static func exactSum(_ a: DecimalValue, _ b: DecimalValue) -> DecimalValue? {
    if a.mantissa == 0, a.exponent >= b.exponent { return b }
    if b.mantissa == 0, b.exponent >= a.exponent { return a }
    let exponent = min(a.exponent, b.exponent)
    func shifted(_ value: DecimalValue) -> Int128? {
      if value.mantissa == 0 { return 0 }
      let shift = Int(value.exponent) - Int(exponent)
      return shift <= 18 ? Int128(value.mantissa) * Int128(DecimalValue.powerOfTen(shift)) : nil
    }
    guard let left = shifted(a), let right = shifted(b), let sum = Int64(exactly: left + right),
      sum.magnitude < 1_000_000_000_000_000_000
    else { return nil }
    return DecimalValue(mantissa: sum, exponent: exponent)
  }

  /// floor(self x 10^`power`), or nil if it does not fit 64 bits.
  func floored(times power: Int) -> Int64? {
    let shift = Int(exponent) + power
    if shift >= 0 {
      if mantissa == 0 { return 0 }
      guard shift <= 18 else { return nil }
      let (product, overflow) = mantissa.multipliedReportingOverflow(by: DecimalValue.powerOfTen(shift))
      return overflow ? nil : product
    }
    guard -shift <= 18 else { return mantissa < 0 ? -1 : 0 }
    let divisor = DecimalValue.powerOfTen(-shift)
    let quotient = mantissa / divisor
    return mantissa % divisor < 0 ? quotient - 1 : quotient
  }

  /// The whole number it is, or nil if it has a fraction or does not fit 64 bits.
  var integer: Int64? {
    if exponent < 0, mantissa % DecimalValue.powerOfTen(Int(-exponent)) != 0 { return nil }
    return floored(times: 0)
  }
}
