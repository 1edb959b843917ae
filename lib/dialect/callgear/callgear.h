/*
 * callgear.h - CallGear, also sold as UIS, CoMagic and Novofon
 *
 * The administrator writes each notification's template, so the fields, their layout and even the
 * word that tells the kind differ from account to account. fields.c finds the values wherever a
 * template put them, words.c tells what was notified, callgear.c makes the event.
 * Nothing is signed: a token or the sender's network authenticates. Thread: any.
 */
#ifndef CS_DIALECT_CALLGEAR_H
#define CS_DIALECT_CALLGEAR_H

#include "dialect/dialect.h"

extern const struct dialect dialect_callgear;

#endif
