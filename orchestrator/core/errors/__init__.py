"""Every error Zapwright raises, each with a stable `code`.

ZapwrightError
├── NotFoundError
│   ├── SessionNotFoundError
│   ├── StepNotFoundError
│   ├── AppNotFoundError
│   ├── ActionNotFoundError
│   ├── FieldNotFoundError
│   ├── ConnectLinkNotFoundError
│   ├── BrowserNotFoundError
│   ├── TenantNotFoundError
│   ├── ApiKeyNotFoundError
│   ├── EndpointNotFoundError
│   └── DeliveryNotFoundError
├── SignalRefusedError            the signal is not for this moment; nothing changed
│   ├── IllegalSignalError
│   ├── SessionLockedError
│   ├── AttemptStaleError
│   ├── AttemptTakenError
│   ├── TooManyChecksError
│   ├── DeadlineFinalError
│   ├── AuthenticationNotUsableError
│   ├── AppNotOwnError
│   ├── FieldsUnansweredError
│   ├── CandidatesFoundError
│   ├── ConnectLinkOverError
│   ├── TooManyBrowsersError
│   ├── NotReadyError
│   ├── CreateUnknownError
│   ├── ZapNotMatchedError
│   ├── StepNotUsableError
│   ├── InputsFlawedError
│   ├── StepTestRepeatedError
│   ├── AliasTakenError
│   └── TooManyStepsError
├── PreconditionFailedError       the session is not the one the request knows; nothing changed
├── IdempotencyError              the request's idempotency key was used before
│   ├── IdempotencyKeyReusedError
│   └── IdempotencyInFlightError
├── TenantTakenError
├── EndpointUrlRefusedError       messages are not sent there
├── TooManyEndpointsError
├── DeliveryUnderWayError
├── SignInRequiredError
├── CredentialRefusedError
├── SignInRefusedError            this browser may not go on with a sign-in; nothing changed
├── ClientMissingError
├── UpstreamError
│   ├── UpstreamBusyError         no permit in time, or Zapier asked us to wait
│   ├── UpstreamUnavailableError  no usable answer
│   ├── UpstreamRefusedError      an answer that says no
│   ├── FieldsRefusedError        an authentication is not made of these fields
│   ├── StepTestFailedError       the action was carried out, and failed
│   └── StepTestUnknownError      it may have been carried out
└── StoreError
    ├── StoreUnavailableError     the store did not answer, or its answer was lost
    ├── StaleVersionError         somebody else committed first
    ├── GuardFailedError          what a decision relied on is no longer true
    ├── ReferenceTakenError       a session that has not ended has this reference
    ├── LeaseLostError            the watch was leased to somebody else
    └── LaneLostError             the lane was leased to somebody else
"""
