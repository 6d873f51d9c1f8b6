/// Words of FHIR R4 that everything we write in it shares: webhooks and exported observations.
package enum FHIRWords {
  /// Systems of identifiers and codes; ours are names, not addresses.
  package enum System {
    package static let alert = "urn:vigil:alert"
    package static let webhook = "urn:vigil:webhook"
    package static let device = "urn:vigil:device"
    package static let rule = "urn:vigil:rule"
    package static let user = "urn:vigil:user"
    package static let sample = "urn:vigil:sample"
    package static let vital = "urn:vigil:vital"
    package static func patient(_ tenant: String) -> String { "urn:vigil:patient:" + tenant.percentEncoded }
    package static let loinc = "http://loinc.org"
    package static let mdc = "urn:iso:std:iso:11073:10101"
    package static let ucum = "http://unitsofmeasure.org"
    package static let actReason = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
    package static let communicationCategory = "http://terminology.hl7.org/CodeSystem/communication-category"
    package static let observationCategory = "http://terminology.hl7.org/CodeSystem/observation-category"
    package static let absentReason = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
  }

  /// Test data is marked for every system that reads on: security label HTEST (HL7 v3 ActReason).
  package static func meta(isSimulated: Bool, to out: inout JSONText) {
    guard isSimulated else { return }
    out.object("meta") { out in
      out.array("security") { out in
        out.object { coding(System.actReason, "HTEST", "test health data", to: &$0) }
      }
      out.array("tag") { out in out.object { coding("urn:vigil:tag", "simulated", "simulated", to: &$0) } }
    }
  }

  package static func identifier(_ system: String, _ value: String, to out: inout JSONText) {
    out.array("identifier") { out in
      out.object {
        $0.field("system", system)
        $0.field("value", value)
      }
    }
  }

  package static func coding(_ system: String, _ code: String, _ display: String?, to out: inout JSONText) {
    out.field("system", system)
    out.field("code", code)
    if let display { out.field("display", display) }
  }

  /// A field that is one concept of one coding.
  package static func concept(
    _ key: String, _ system: String, _ code: String, _ display: String?, to out: inout JSONText
  ) {
    out.object(key) { out in
      out.array("coding") { out in out.object { coding(system, code, display, to: &$0) } }
    }
  }

  /// A field that is a list with one concept of one coding.
  package static func concepts(
    _ key: String, _ system: String, _ code: String, _ display: String?, to out: inout JSONText
  ) {
    out.array(key) { out in
      out.object { out in
        out.array("coding") { out in out.object { coding(system, code, display, to: &$0) } }
      }
    }
  }

  /// A resource by identifier: we know no server's resources.
  package static func reference(
    _ key: String, _ type: String, _ system: String, _ value: String, to out: inout JSONText
  ) {
    out.object(key) { out in
      out.field("type", type)
      out.object("identifier") {
        $0.field("system", system)
        $0.field("value", value)
      }
    }
  }

  /// What a vital is called: LOINC and MDC where it has them, our key where it has neither.
  package static func codings(_ vital: VitalDefinition, to out: inout JSONText) {
    out.array("coding") { out in
      for code in vital.loinc { out.object { coding(System.loinc, code, nil, to: &$0) } }
      for term in vital.mdc { out.object { coding(System.mdc, "\(term.number)", term.referenceID, to: &$0) } }
      if vital.loinc.isEmpty, vital.mdc.isEmpty {
        out.object { coding(System.vital, vital.key, vital.title, to: &$0) }
      }
    }
    out.field("text", vital.title)
  }

  /// A number in the fields of a Quantity.
  package static func quantity(_ number: DecimalValue, unit: String, to out: inout JSONText) {
    out.field("value", number)
    out.field("unit", unit)
    out.field("system", System.ucum)
    out.field("code", unit)
  }
}

/// FHIR's blood pressure is one panel with both pressures; other vitals are observations of their own.
package enum FHIRPressure: CaseIterable, Sendable {
  case systolic, diastolic

  package init?(_ vital: VitalDefinition) {
    guard let part = Self.allCases.first(where: { vital.loinc.contains($0.loinc) }) else { return nil }
    self = part
  }

  package var loinc: String { self == .systolic ? "8480-6" : "8462-4" }
  package var title: String { self == .systolic ? "Systolic blood pressure" : "Diastolic blood pressure" }

  /// The panel's own code.
  package static func panel(to out: inout JSONText) {
    out.array("coding") { out in
      out.object {
        FHIRWords.coding(
          FHIRWords.System.loinc, "85354-9", "Blood pressure panel with all children optional", to: &$0)
      }
    }
    out.field("text", "Blood pressure")
  }

  /// Both parts of the panel.
  ///
  /// - Parameter measured: writes what was measured of a part; returns whether it was measured at all.
  package static func components(
    to out: inout JSONText, _ measured: (FHIRPressure, inout JSONText) -> Bool
  ) {
    out.array("component") { out in
      for part in allCases {
        out.object { out in
          out.object("code") { out in
            out.array("coding") { out in
              out.object { FHIRWords.coding(FHIRWords.System.loinc, part.loinc, part.title, to: &$0) }
            }
          }
          if !measured(part, &out) {
            FHIRWords.concept("dataAbsentReason", FHIRWords.System.absentReason, "unknown", "Unknown", to: &out)
          }
        }
      }
    }
  }
}

extension String {
  /// As one segment of a URI's path: all but the unreserved characters of RFC 3986 section 2.3 as `%` and two digits.
  package var percentEncoded: String {
    let digits = Array("0123456789ABCDEF".utf8)
    var out: [UInt8] = []
    for byte in utf8 {
      let isLetter = (byte | 32 >= 97 && byte | 32 <= 122)
      if isLetter || (48...57).contains(byte) || [45, 46, 95, 126].contains(byte) {
        out.append(byte)
      } else {
        out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: out, as: UTF8.self)
  }
}
