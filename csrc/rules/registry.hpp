// Every rule the engine is built with. A new rule is one header and one line here.
#pragma once

#include "rules/adafactor.hpp"
#include "rules/adagrad.hpp"
#include "rules/adam.hpp"
#include "rules/adam_variants.hpp"
#include "rules/adamax.hpp"
#include "rules/around.hpp"
#include "rules/asgd.hpp"
#include "rules/belief.hpp"
#include "rules/ftrl.hpp"
#include "rules/layerwise.hpp"
#include "rules/mixture.hpp"
#include "rules/muon.hpp"
#include "rules/normalized.hpp"
#include "rules/prodigy.hpp"
#include "rules/rmsprop.hpp"
#include "rules/rprop.hpp"
#include "rules/schedule_free.hpp"
#include "rules/sgd.hpp"
#include "rules/sign.hpp"
#include "rules/soap.hpp"
#include "rules/stabilized.hpp"

namespace gradstep {
namespace {

template <template <class> class... Rule>
struct RuleList {};

using Registry = RuleList<                                              //
    Sgd, SgdMomentum, SgdNesterov, SgdVelocity, SgdVelocityNesterov,    //
    SignSgd, Signum, Lion,                                              //
    Asgd, Rprop,                                                        //
    Adagrad, Adadelta,                                                  //
    Rmsprop, RmspropMomentum, RmspropNesterov,                          //
    RmspropCentered, RmspropCenteredMomentum, RmspropCenteredNesterov,  //
    Ftrl,                                                               //
    Adam, AdamAmsgrad, Nadam, Radam, Adamax,                            //
    Adabelief, AdabeliefAmsgrad, Yogi, Adopt, Laprop, LapropAmsgrad,    //
    Adan, Ademamix,                                                     //
    Lamb, Lars, LarsNesterov, Novograd, StableAdamw, Mars,              //
    ScheduleFreeSgd, ScheduleFreeAdam, Prodigy, Adafactor,              //
    Lookahead, Asam, Muon, Soap>;

}  // namespace
}  // namespace gradstep
