/// What a score function gives.
package enum ScoreField: String, Sendable, CaseIterable {
  /// Sum of the known components: the lower bound where some are missing.
  case total
  /// The largest single component known.
  case singleMax = "single_max"
  /// Components never seen or stale.
  case missing
}

/// Facts about the patient an expression may ask.
package enum PatientAttribute: Hashable, Sendable {
  /// Completed years at the evaluation's time; unknown if the roster does not say.
  case age
  /// Completed months, where limits differ among small children; twelve times the years where only those are known.
  case ageMonths
  case flag(String)
  /// Whether the patient lies in this care unit; never unknown: a patient in no unit is not in this one.
  case unit(String)
}

/// One step of a flat expression program over a stack of numbers; NaN is "unknown", truth is 1 and 0.
package enum Instruction: Hashable, Sendable {
  case constant(Double)
  /// Position in ``RuleDefinition/parameters``.
  case parameter(Int)
  /// Position in ``RuleDefinition/features``.
  case feature(Int)
  /// Position in ``RulePlan/scores``, field.
  case score(Int, ScoreField)
  /// Position in ``RulePlan/scores``, position of the component: its points.
  case scoreComponent(Int, Int)
  case attribute(PatientAttribute)
  case add, subtract, multiply, divide, negate, absolute
  case less, lessOrEqual, greater, greaterOrEqual, equal, notEqual
  case and, or, not
  /// Of the `count` conditions on top of the stack at least `needed` hold (Kleene: unknown where the unknown ones decide).
  case atLeast(needed: Int, of: Int)
}

/// A checked expression: postfix instructions, at most 256 deep.
package struct Program: Hashable, Sendable {
  package var instructions: [Instruction]
  /// The text it was written as.
  package var text: String
  package init(instructions: [Instruction], text: String) {
    self.instructions = instructions
    self.text = text
  }
}

/// Another value of a parameter for patients who carry a flag (SEMANTICS C3).
package struct ParameterCase: Hashable, Sendable {
  package var flag: String
  package var value: DecimalValue
  package init(flag: String, value: DecimalValue) {
    self.flag = flag
    self.value = value
  }
}

/// A value of one parameter for one patient, set by a person for a time, inside the parameter's bounds.
package struct ParameterSetting: Hashable, Sendable {
  package var rule: String
  package var parameter: String
  /// Canonical unit of the parameter, or milliseconds.
  package var value: DecimalValue
  /// Who set it; a user's id, never a patient's.
  package var author: String
  package var reason: String
  /// In force from (included) until (excluded), milliseconds since 1970; nil: no end on that side.
  package var from: Int64?
  package var until: Int64?

  package init(
    rule: String, parameter: String, value: DecimalValue, author: String, reason: String, from: Int64? = nil,
    until: Int64? = nil
  ) {
    self.rule = rule
    self.parameter = parameter
    self.value = value
    self.author = author
    self.reason = reason
    self.from = from
    self.until = until
  }

  package func isInForce(at time: Int64) -> Bool { (from ?? .min) <= time && time < (until ?? .max) }
}

/// A condition that raises an alert's priority while it is open; never lowers it (SEMANTICS D3). Unknown raises nothing.
package struct PriorityRaise: Hashable, Sendable {
  package var when: Program
  package var to: Priority
  package init(when: Program, to: Priority) {
    self.when = when
    self.to = to
  }
}

/// A tunable number of a rule, with its bounds (canonical unit of what it is compared with, or milliseconds).
package struct RuleParameter: Hashable, Sendable {
  package var name: String
  package var value: DecimalValue
  package var lowest: DecimalValue?
  package var highest: DecimalValue?
  package var unit: String
  /// The first whose flag the patient is known to carry takes the place of ``value``.
  package var cases: [ParameterCase]
  package init(
    name: String, value: DecimalValue, lowest: DecimalValue?, highest: DecimalValue?, unit: String,
    cases: [ParameterCase] = []
  ) {
    self.name = name
    self.value = value
    self.lowest = lowest
    self.highest = highest
    self.unit = unit
    self.cases = cases
  }

  /// The value in force for a patient with these flags.
  package func value(for flags: Set<String>) -> DecimalValue {
    cases.first { flags.contains($0.flag) }?.value ?? value
  }
}

package enum RuleMode: String, Sendable, CaseIterable {
  case live, shadow, off
}

/// One piece of an alert's message.
package enum MessagePiece: Hashable, Sendable {
  case text(String)
  case value, limit, duration, trend, code, device, missing, total, unit
}

/// How many evaluations of one rule run side by side for a patient.
package enum RuleScope: Hashable, Sendable {
  /// One vital: each series of it is judged separately (SEMANTICS A3).
  case series(VitalCode)
  /// Technical: every series of every vital.
  case everySeries
  /// Several inputs or a score: once a patient, each code read from its preferred series.
  case patient
}

/// A limit that follows a patient's own baseline, only between bounds and only where adaptive limits are switched on.
package struct LimitAdaptation: Hashable, Sendable {
  /// Position in ``RuleDefinition/parameters``.
  package var parameter: Int
  /// What it follows, in the parameter's unit; unknown changes nothing.
  package var to: Program
  package var floor: DecimalValue
  package var ceiling: DecimalValue
  package init(parameter: Int, to: Program, floor: DecimalValue, ceiling: DecimalValue) {
    self.parameter = parameter
    self.to = to
    self.floor = floor
    self.ceiling = ceiling
  }
}

/// What the numerics say about a device's own alarm; it is told whatever they say (SEMANTICS C5).
package enum Verification: String, Sendable, CaseIterable {
  case supported, unsupported, unknown
}

/// What a rule says about a device's own alarm (SEMANTICS C5): the alarm is annotated, never cancelled.
package struct AlarmCheck: Hashable, Sendable {
  /// Keys of the device alarms it checks, lower case.
  package var events: [String]
  /// The numerics show what the alarm says.
  package var supported: Program
  /// The numerics show that it cannot be; neither: unknown. Where both hold, it is supported.
  package var unsupported: Program
  package init(events: [String], supported: Program, unsupported: Program) {
    self.events = events
    self.supported = supported
    self.unsupported = unsupported
  }
}

/// One checked rule, ready to run: pure data.
package struct RuleDefinition: Hashable, Sendable {
  package var id = ""
  package var title = ""
  package var source = ""
  package var rationale = ""
  /// `sha256:` of the resolved rule.
  package var version = ""
  package var mode = RuleMode.live
  package var kind = AlertKind.physiological
  package var priority = Priority.medium
  package var scope = RuleScope.patient
  package var parameters: [RuleParameter] = []
  package var features: [Feature] = []
  package var applies: Program?
  package var when = Program(instructions: [], text: "")
  /// Which of the versions of one id that run side by side this is (canary); empty: the only one.
  package var variant = ""
  /// How long `when` must hold, milliseconds.
  package var hold: Int64 = 0
  /// Position in ``parameters`` of the parameter `for` names, so that a patient's setting changes it too.
  package var holdParameter: Int?
  /// Rolling window in which breach time adds up to `hold` (SEMANTICS D1), milliseconds.
  package var maxHold: Int64 = 0
  package var clear: Program?
  package var clearFor: Int64 = 0
  package var bypass: Program?
  package var bypassPriority = Priority.high
  /// What the first comparison of ``bypass`` is against, where that is constant for a patient.
  package var bypassLimit: Program?
  package var raises: [PriorityRaise] = []
  package var refractory: Int64 = 0
  /// An alert whose condition still holds this long after its start ends and begins anew, milliseconds; 0: never.
  package var renew: Int64 = 0
  /// An empty window uses the newest sample that is not stale (SEMANTICS B7).
  package var holdLast = true
  package var message: [MessagePiece] = []
  package var explanation = ""
  /// Position in ``RulePlan/scores`` for score rules: they join active vital alerts and the other way round.
  package var score: Int?
  /// Conditions on the signal without which what the rule finds is held, at most ``maxHold`` (SEMANTICS D1, D2).
  package var gates: [Program] = []
  /// Samples of a lower quality do not open it; nil: the plan's ``RulePlan/minimumQuality``.
  package var minimumQuality: Double?
  /// A second sign; while it is known to be absent what the rule finds is held, at most ``maxHold``. Unknown confirms.
  package var confirm: Program?
  /// Ids of rules whose active alert holds this one, and the patient's states (`off-ward`) or flags that do, for at most
  /// ``inhibitMax`` milliseconds.
  package var inhibitedBy: [String] = []
  package var inhibitedIn: [String] = []
  package var inhibitMax: Int64 = 1_800_000
  /// Distance beyond the limit at which the hold is half as long (smart delay), in the unit of what is compared; nil: the
  /// hold does not depend on depth.
  package var halvesAt: DecimalValue?
  /// Distance beyond what was told that is told again; nil: the distance from limit to bypass limit, where both are constant.
  package var worseningStep: DecimalValue?
  /// Its own flap settings; nil: ``AlertingSettings/flap``.
  package var flap: FlapSettings?
  /// Its own ladder, in place of the settings'; empty: theirs.
  package var escalation: [EscalationStep] = []
  /// Whether it latches; nil: by its priority, as the settings say.
  package var latches: Bool?
  package var adaptations: [LimitAdaptation] = []
  /// A rule with a check judges device alarms and opens nothing by itself.
  package var check: AlarmCheck?
  /// The whole rule as text, as the version hashes it.
  package var canonicalText = ""

  package init() {}

  package func parameterIndex(_ name: String) -> Int? { parameters.firstIndex { $0.name == name } }
  package var limit: RuleParameter? { parameterIndex("limit").map { parameters[$0] } }
  /// The vitals its own conditions read; what only a `raise` looks at does not decide how it is judged.
  package var judgedCodes: [VitalCode] {
    var seen: [VitalCode] = []
    for case .feature(let index) in [when, clear, bypass].compactMap({ $0 }).flatMap(\.instructions) {
      if let code = features[index].code, !seen.contains(code) { seen.append(code) }
    }
    return seen
  }

  /// The vitals it reads, without duplicates, in order of first use.
  package var codes: [VitalCode] {
    var seen: [VitalCode] = []
    for feature in features { if let code = feature.code, !seen.contains(code) { seen.append(code) } }
    return seen
  }
}

/// A checked set of rules, ready to run: what the engine is given.
package struct RulePlan: Sendable {
  package var registry: VitalRegistry
  package var rules: [RuleDefinition]
  package var scores: [ScoreDefinition]
  /// `sha256:` over every rule version and the registry.
  package var version: String
  /// Samples with a given quality below this are kept in history but not judged, but for bypass (0...1).
  package var minimumQuality: Double

  package init(
    registry: VitalRegistry, rules: [RuleDefinition], scores: [ScoreDefinition], version: String,
    minimumQuality: Double = 0.4
  ) {
    self.registry = registry
    self.rules = rules
    self.scores = scores
    self.version = version
    self.minimumQuality = minimumQuality
  }
}

extension RulePlan {
  /// Windows up to this length smooth; longer ones measure, milliseconds.
  package static let smoothingSpan: Int64 = 60_000

  /// The plan with every smoothed value (mean, median, exponentially weighted mean over a minute at most) replaced by the
  /// newest one: what an ablation of smoothing runs.
  package func withoutSmoothing() -> RulePlan {
    var plan = self
    for rule in plan.rules.indices {
      for index in plan.rules[rule].features.indices {
        guard case .sliding(let length) = plan.rules[rule].features[index].window, length <= RulePlan.smoothingSpan
        else { continue }
        switch plan.rules[rule].features[index].kind {
        case .mean, .median, .ewma:
          plan.rules[rule].features[index].kind = .last
          plan.rules[rule].features[index].window = .none
        default: continue
        }
      }
    }
    return plan
  }
}

/// Facts about one patient that rules may ask; journaled, so that a replay sees the same.
package struct PatientFacts: Hashable, Sendable {
  package var tenant: String
  package var patient: String
  /// Milliseconds since 1970 of the birth date's midnight UTC; nil if unknown.
  package var birth: Int64?
  /// Completed years when no birth date is known.
  package var ageYears: Int?
  /// Completed months beside ``ageYears``, where the age was given finer than in years.
  package var ageMonthsGiven: Int?
  package var flags: Set<String>
  /// Parameters set for this patient.
  package var settings: [ParameterSetting]
  package var unit: String?
  package var bed: String?
  /// Where the patient is in their stay, and until when; nil: until further notice.
  package var state = AdmissionState.admitted
  package var stateUntil: Int64?
  /// The gateway each of the patient's devices speaks through, by device id.
  package var gateways: [String: String] = [:]
  /// Whether anything but the id is known about this patient.
  package var isListed: Bool

  package init(
    tenant: String, patient: String, birth: Int64? = nil, ageYears: Int? = nil, ageMonthsGiven: Int? = nil,
    flags: Set<String> = [], settings: [ParameterSetting] = [], unit: String? = nil, bed: String? = nil,
    isListed: Bool = false
  ) {
    self.tenant = tenant
    self.patient = patient
    self.birth = birth
    self.ageYears = ageYears
    self.ageMonthsGiven = ageMonthsGiven
    self.flags = flags
    self.settings = settings
    self.unit = unit
    self.bed = bed
    self.isListed = isListed
  }

  /// Completed years at an instant (mean Gregorian year of 365.2425 days), nil if unknown.
  package func age(at milliseconds: Int64) -> Int? {
    if let birth { return max(0, Int((milliseconds - birth) / 31_556_952_000)) }
    return ageYears
  }

  /// Completed months at an instant (a twelfth of that year), nil if unknown; twelve times the years where only those are
  /// known.
  package func ageMonths(at milliseconds: Int64) -> Int? {
    if let birth { return max(0, Int((milliseconds - birth) / 2_629_746_000)) }
    return ageMonthsGiven ?? ageYears.map { $0 * 12 }
  }

  /// Completed months of an age given in years: 0.25 is 3, 0.58 is 7; never beyond the completed years.
  package static func completedMonths(ofYears years: DecimalValue) -> Int {
    let bounded = min(max(0, years.double), 1000)
    return min(Int(bounded) * 12 + 11, Int((bounded * 12).rounded()))
  }

  /// The setting of a rule's parameter in force at a time, nil if there is none.
  package func setting(rule: String, parameter: String, at time: Int64) -> ParameterSetting? {
    settings.first { $0.rule == rule && $0.parameter == parameter && $0.isInForce(at: time) }
  }
}
