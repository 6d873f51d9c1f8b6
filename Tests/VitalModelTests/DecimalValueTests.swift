import Testing
import VitalModel

@Suite struct DecimalValueTests {
  @Test(arguments: [
    ("0", Int64(0), 0), ("-0", 0, 0), ("72", 72, 0), ("72.0", 720, -1), ("-12.50", -1250, -2), ("1e2", 1, 2),
    ("1E+2", 1, 2), ("5e-3", 5, -3), ("0.001", 1, -3), ("999999999999999999", 999_999_999_999_999_999, 0),
    ("0.000000000000000001", 1, -18), ("1e18", 1, 18), ("1.5e1", 15, 0),
  ])
  func reads(_ text: String, _ mantissa: Int64, _ exponent: Int) throws {
    let value = try #require(DecimalValue(text))
    #expect(value.mantissa == mantissa)
    #expect(Int(value.exponent) == exponent)
  }

  @Test(arguments: [
    "", "-", "+1", "01", "1.", ".5", "1e", "1e+", "NaN", "inf", "0x10", "1 ", " 1", "1,5", "1_000", "--1", "1.2.3",
    "1000000000000000000", "0.0000000000000000001", "1e19", "1e-19", "1e999999999999", "٣",
  ])
  func refuses(_ text: String) {
    #expect(DecimalValue(text) == nil)
  }

  @Test func keepsTheDigitsAsReceived() {
    for text in ["72.0", "72.00", "-0.50", "0.001", "100", "0", "0.0", "-12", "1000000.000001"] {
      #expect(DecimalValue(text)?.description == text)
    }
    #expect(DecimalValue("1e2")?.description == "100")
    #expect(DecimalValue("25e-1")?.description == "2.5")
  }

  @Test func everyDecimalRoundTripsThroughItsText() throws {
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<20_000 {
      let digits = Int.random(in: 0...18, using: &generator)
      let bound = DecimalValue.powerOfTen(digits) - 1
      let value = DecimalValue(
        mantissa: Int64.random(in: -bound...bound, using: &generator),
        exponent: Int8.random(in: -18...0, using: &generator))
      let back = try #require(DecimalValue(value.description))
      #expect(back == value)
      #expect(value.isSameNumber(as: value.normalized))
      // Beyond 53 bits the mantissa itself is rounded first, so only the last place may differ.
      let nearest = try #require(Double(value.description))
      if value.mantissa.magnitude <= 1 << 53 {
        #expect(value.double == nearest)
      } else {
        #expect(abs(value.double - nearest) <= nearest.ulp)
      }
    }
  }

  @Test func sameNumberWhateverTheZeros() throws {
    func same(_ a: String, _ b: String) throws -> Bool {
      try #require(DecimalValue(a)).isSameNumber(as: try #require(DecimalValue(b)))
    }
    #expect(try same("72", "72.00"))
    #expect(try same("1e2", "100"))
    #expect(try same("0", "-0.000"))
    #expect(try !same("72", "72.01"))
    #expect(try !same("0", "0.1"))
  }

  @Test func scalesHalfUp() throws {
    func scaled(_ text: String, _ exponent: Int) throws -> Int64? {
      try #require(DecimalValue(text)).scaled(toExponent: exponent)
    }
    #expect(try scaled("38.05", -1) == 381)
    #expect(try scaled("38.04", -1) == 380)
    #expect(try scaled("0.5", 0) == 1)
    #expect(try scaled("-0.5", 0) == 0)
    #expect(try scaled("-1.5", 0) == -1)
    #expect(try scaled("-1.6", 0) == -2)
    #expect(try scaled("7", -3) == 7000)
    #expect(try scaled("1e18", -3) == nil)
    #expect(try scaled("0e18", -18) == 0)
    #expect(try scaled("1e-18", 18) == 0)
  }

  @Test func dividingHalfUpIsFloorOfQuotientPlusHalf() {
    for a in -60...60 {
      for b in 1...12 {
        let expected = Int64(((Double(a) / Double(b)) + 0.5 + 1e-12).rounded(.down))
        #expect(DecimalValue.divideHalfUp(Int64(a), Int64(b)) == expected, "\(a)/\(b)")
      }
    }
    #expect(DecimalValue.divideHalfUp(.max, .max) == 1)
    #expect(DecimalValue.divideHalfUp(.min, 1) == .min)
  }
}
